// b_go.go - what goroutines, channels and timers of Go cost, in turn with vts
//
// Given the directory of the C programs, each round runs a row of theirs for a burst and then
// its own counterpart, because what the processor gives changes from second to second. Prints
// lines of tab-separated fields for report.awk:
//
//	turn  Go  group  row of vts  row of Go  ns of vts  ns of Go
//	held  name  bytes
//
// Called with "echo" it is a server of b_socket.h.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const rounds = 5

var sum int64

// One goroutine waits, another completes; both on one thread.
func resumed(n int) {
	values := make(chan int)
	done := make(chan bool)
	go func() {
		for value := range values {
			sum += int64(value)
		}
		done <- true
	}()
	for i := 0; i < n; i++ {
		values <- 1
	}
	close(values)
	<-done
}

func count() { sum++ }

// Functions sent and run, 64 at a time.
func posted(n int) {
	works := make(chan func(), 64)
	for ; n > 0; n -= 64 {
		for i := 0; i < 64; i++ {
			works <- count
		}
		for i := 0; i < 64; i++ {
			(<-works)()
		}
	}
}

// As many goroutines as works, at most 1024 at a time.
func started(n int) {
	var wait sync.WaitGroup
	var total int64
	for ; n > 0; n -= 1024 {
		wait.Add(1024)
		for i := 0; i < 1024; i++ {
			go func() {
				atomic.AddInt64(&total, 1)
				wait.Done()
			}()
		}
		wait.Wait()
	}
	sum += total
}

var timers [1000000]*time.Timer

func stopped(n int) {
	for i := range timers {
		timers[i] = time.AfterFunc(time.Hour+time.Duration(uint32(i)*2654435761), count)
	}
	for i := range timers {
		timers[i].Stop()
	}
}

type pair struct {
	program, group, row, name string
	threads, n                int
	run                       func(n int)
}

var pairs = []pair{
	{"b_loop", "await, resumed by a loop", "coroutine", "goroutine resumed by a channel",
		1, 20000, resumed},
	{"b_loop", "post and run, 64 at a time", "loop", "functions through a channel",
		1, 64 * 512, posted},
	{"b_threadpool", "thread pool, posted by another thread", "thread pool",
		"goroutine started and ended", 2, 1024 * 16, started},
	{"b_timers", "1000000 timers, armed and stopped", "loop", "AfterFunc and Stop",
		1, len(timers), stopped},
}

// What the C program prints for one row, or 0 if it is not there.
func burst(directory string, of pair) float64 {
	command := exec.Command(filepath.Join(directory, of.program), "burst", of.group, of.row)
	text, err := command.Output()
	if err != nil {
		return 0
	}
	ns, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return ns
}

func turn(directory string, of pair) {
	vts := burst(directory, of)
	if vts == 0 {
		return
	}
	runtime.GOMAXPROCS(of.threads)
	of.run(of.n)
	begin := time.Now()
	of.run(of.n)
	took := float64(time.Since(begin).Nanoseconds()) / float64(of.n)
	fmt.Printf("turn\tGo\t%s\t%s\t%s\t%.6g\t%.6g\n", of.group, of.row, of.name, vts, took)
}

// Bytes of a goroutine that waits: what the runtime got for many.
func held() {
	const many = 10000
	var before, after runtime.MemStats
	values := make(chan int)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := 0; i < many; i++ {
		go func() { <-values }()
	}
	runtime.Gosched()
	runtime.ReadMemStats(&after)
	bytes := after.HeapInuse + after.StackInuse - before.HeapInuse - before.StackInuse
	fmt.Printf("held\tGo: goroutine\t%.6g\n", float64(bytes)/many)
	close(values)
}

func handle(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 128)
	for {
		size, err := connection.Read(buffer)
		if err == nil {
			_, err = connection.Write(buffer[:size])
		}
		if err != nil {
			return
		}
	}
}

// On one processor.
func echo() {
	runtime.GOMAXPROCS(1)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("port %d own 0\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err == nil {
			go handle(connection)
		}
	}
}

func main() {
	if os.Args[1] == "echo" {
		echo()
	}
	held()
	for i := 0; i < rounds; i++ {
		for _, of := range pairs {
			turn(os.Args[1], of)
		}
	}
}
