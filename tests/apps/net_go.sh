# SPDX-License-Identifier: BSD-3-Clause
# Go's net/http, server and client in one program inside; output as natively.
# TIMEOUT: 300
. tests/apps/lib.sh
need go
mkdir -p "$TMPDIR/go"
cat >"$TMPDIR/go/main.go" <<'G'
package main

import (
    "fmt"
    "io"
    "net"
    "net/http"
    "sync"
)

func main() {
    l, err := net.Listen("tcp", "127.0.0.1:0")
    if err != nil {
        panic(err)
    }
    go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
        fmt.Fprint(w, "go ", r.URL.Path)
    }))
    var wait sync.WaitGroup
    var lock sync.Mutex
    total := 0
    for i := 0; i < 20; i++ {
        wait.Add(1)
        go func() {
            defer wait.Done()
            for j := 0; j < 10; j++ {
                r, err := http.Get("http://" + l.Addr().String() + "/path")
                if err != nil {
                    fmt.Println(err)
                    return
                }
                b, _ := io.ReadAll(r.Body)
                r.Body.Close()
                lock.Lock()
                total += len(b)
                lock.Unlock()
            }
        }()
    }
    wait.Wait()
    fmt.Println(total)
}
G
(cd "$TMPDIR/go" && GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o ../served main.go) ||
    { echo 'the Go program does not build'; exit 1; }
extra="--rw $TMPDIR"
same "$TMPDIR/served"
exit $failed
