/* fuzz.h - what the fuzzing targets share: a check that says what failed, a reader of
   the input, and a main() that runs files where there is no libFuzzer.

       #define VTS_IMPLEMENTATION
       #include "vts.h"
       #include "fuzz.h"

       static void fuzz_one(const uint8_t *data, size_t size) { ... FUZZ_CHECK(...); }
       FUZZ_TARGET(fuzz_one)

   With -fsanitize=fuzzer that is a libFuzzer program. With -DFUZZ_STANDALONE it runs each
   file it is given, and each file of each folder, once. */
#ifndef VTS_FUZZ_H
#define VTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program as crashed: libFuzzer keeps the input then. */
#define FUZZ_CHECK(condition)                                                          \
    ((condition) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #condition))

static inline void fuzz_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

static inline void *fuzz_need(void *memory)
{
    if (memory == NULL) abort();
    return memory;
}

/* The input as a sequence of choices; past its end each is 0. */
typedef struct fuzz_input {
    const uint8_t *data;
    size_t size, at;
} fuzz_input;

static inline unsigned fuzz_byte(fuzz_input *input)
{
    return input->at < input->size ? input->data[input->at++] : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_TARGET(one)                                                               \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                       \
    {                                                                                  \
        one(data, size);                                                               \
        return 0;                                                                      \
    }

#ifdef FUZZ_STANDALONE

#include <dirent.h>

static inline void fuzz_run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, room = 0, got = 1;

    if (file == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(2);
    }
    for (; got > 0; size += got) {
        if (size == room) data = (uint8_t *)fuzz_need(realloc(data, room = room * 2 + 4096));
        got = fread(data + size, 1, room - size, file);
    }
    fclose(file);
    fprintf(stderr, "%s\n", path); /* the last one named is the one that crashed */
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static inline unsigned fuzz_run_path(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    unsigned count = 0;
    char inside[4096];

    if (directory == NULL) {
        fuzz_run_file(path);
        return 1;
    }
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        if (snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name) >= 4096) exit(2);
        count += fuzz_run_path(inside);
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    int i;

    for (i = 1; i < argc; i++) count += fuzz_run_path(argv[i]);
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 2;
}

#endif
#endif
