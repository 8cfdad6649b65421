# SPDX-License-Identifier: BSD-3-Clause
# TIMEOUT: 240
# A Go program: its own scheduler, its own system calls, no C library.
. tests/apps/lib.sh
need go

mkdir -p "$TMPDIR/go"
cat >"$TMPDIR/go/main.go" <<'E'
package main

import (
    "fmt"
    "os"
    "os/exec"
    "os/signal"
    "runtime"
    "sync"
    "sync/atomic"
    "syscall"
    "time"
)

// Children by os/exec: output, input, a status, one that is killed, many at once.
func children() {
    out, err := exec.Command("/bin/echo", "from", "a child").CombinedOutput()
    fmt.Printf("%s %v\n", out, err)
    cat := exec.Command("/bin/cat")
    in, _ := cat.StdinPipe()
    go func() { fmt.Fprint(in, "through a pipe"); in.Close() }()
    out, err = cat.Output()
    fmt.Printf("%s %v\n", out, err)
    fmt.Println(exec.Command("/bin/sh", "-c", "exit 9").Run())
    fmt.Println(exec.Command("/none/such").Run())
    sleeper := exec.Command("/bin/sleep", "100")
    fmt.Println(sleeper.Start(), sleeper.Process.Kill(), sleeper.Wait())
    var wait sync.WaitGroup
    for i := 0; i < 20; i++ {
        wait.Add(1)
        go func() {
            defer wait.Done()
            if err := exec.Command("/bin/true").Run(); err != nil {
                fmt.Println(err)
            }
        }()
    }
    wait.Wait()
}

// A goroutine that never calls anything is preempted, by a signal; others come by channels.
func signals() {
    got := make(chan os.Signal, 1)
    signal.Notify(got, syscall.SIGUSR1)
    var stop atomic.Bool
    previous := runtime.GOMAXPROCS(1)
    go func() {
        for !stop.Load() {
        }
    }()
    runtime.Gosched()
    syscall.Kill(os.Getpid(), syscall.SIGUSR1)
    fmt.Println(<-got)
    stop.Store(true)
    runtime.GOMAXPROCS(previous)
}

func main() {
    children()
    signals()
    var wait sync.WaitGroup
    sums := make(chan int, 100)
    for i := 0; i < 100; i++ {
        wait.Add(1)
        go func(n int) {
            defer wait.Done()
            s := 0
            for j := 0; j < 10000; j++ {
                s += j % (n + 1)
            }
            time.Sleep(time.Millisecond)
            sums <- s
        }(i)
    }
    wait.Wait()
    close(sums)
    total := 0
    for s := range sums {
        total += s
    }
    garbage := 0
    for i := 0; i < 2000; i++ {
        garbage += len(make([]byte, 10000))
    }
    runtime.GC()
    _, err := os.Stat("/none")
    fmt.Println("hello", total, garbage, err, len(os.Args), runtime.GOOS)
    os.Exit(7)
}
E
(cd "$TMPDIR/go" && GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o ../hello main.go) || exit 1
same "$TMPDIR/hello" one
exit $failed
