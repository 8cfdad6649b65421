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
    "runtime"
    "sync"
    "time"
)

func main() {
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
(cd "$TMPDIR/go" && HOME=$TMPDIR GOCACHE=$TMPDIR/cache GOFLAGS=-mod=mod CGO_ENABLED=0 \
    go build -o ../hello main.go) || exit 1
chmod -R u+w "$TMPDIR/cache" "$TMPDIR/go" 2>/dev/null
same "$TMPDIR/hello" one
exit $failed
