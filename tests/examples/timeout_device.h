/* timeout_device.h - what the three timeout programs share: a slow device

     device_open    completes at once, or after a millisecond
     device_read    completes with 42 as soon as the device has answered; can be canceled
     device_close   completes after a millisecond

   Everything runs on one loop, and every operation is over when its task is completed.
   Compiles as C and as C++. */
#ifndef TIMEOUT_DEVICE_H
#define TIMEOUT_DEVICE_H

#include <stdio.h>
#include <stdlib.h>

static vts_loop loop;

typedef struct device {
    vts_time answers_after;
    vts_source source; /* of device_read                                              */
    vts_token token;
    vts_timer timer;
    vts_cancellation_registration registration;
} device;

static inline vts_valuetask device_open(device *self)
{
    (void)self;
    printf("  open\n");
    return vts_delay(&loop, vts_after(VTS_MILLISECONDS(1)), vts_cancellation_none());
}

static inline vts_valuetask device_close(device *self)
{
    (void)self;
    printf("  close\n");
    return vts_delay(&loop, vts_after(VTS_MILLISECONDS(1)), vts_cancellation_none());
}

static inline void device_answers(void *arg)
{
    device *self = (device *)arg;
    vts_cancellation_unregister(&self->registration);
    vts_source_set_result(&self->source, self->token, 42);
}

static inline void device_read_is_canceled(void *arg)
{
    device *self = (device *)arg;
    printf("  the read is canceled\n");
    vts_timer_stop(&self->timer);
    vts_source_set_canceled(&self->source, self->token, 0);
}

static inline vts_valuetask device_read(device *self, vts_cancellation_token cancel)
{
    vts_valuetask task;
    printf("  read\n");
    if (vts_source_reset(&self->source, &self->token) != VTS_OK) abort();
    task = vts_valuetask_of(&self->source, self->token);
    vts_timer_start(&self->timer, &loop, vts_after(self->answers_after), device_answers,
                    self);
    vts_cancellation_register(cancel, &self->registration, device_read_is_canceled, self);
    return task;
}

/* Says what a fetch gave; true if that is what was expected. */
static inline bool report(int error, intptr_t value, int expected)
{
    if (error == VTS_OK) printf("  result: %d\n", (int)value);
    else printf("  result: %s\n", vts_strerror(error));
    return error == expected && (error != VTS_OK || value == 42);
}

#endif
