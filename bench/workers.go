// SPDX-License-Identifier: MIT
//
// workers.go - what bench_workers does, in Go, to stand beside it: goroutines
// on two processors. tools/run-bench.sh runs it where go is installed.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync"
	"time"
)

const leaves, fan = 1000000, 10

var work int

func report(name, unit string, perUnit float64, count, rounds int, run func(n int)) {
	if os.Getenv("QUICK") != "" && rounds > 3 {
		rounds = 3
	}
	run(count/10 + 1)
	took := make([]float64, rounds)
	for i := range took {
		start := time.Now()
		run(count)
		took[i] = float64(time.Since(start).Nanoseconds()) / float64(count) / perUnit
	}
	sort.Float64s(took)
	fmt.Printf("  %-40s %10.4g %-2s  [%.4g .. %.4g]\n", name, took[rounds/2],
		unit, took[0], took[rounds-1])
}

func spawnAndJoin(n int) {
	for i := 0; i < n; i++ {
		var all sync.WaitGroup
		all.Add(1)
		go all.Done()
		all.Wait()
	}
}

func spawnMany(n int) {
	for done := 0; done < n; done += 1000 {
		var all sync.WaitGroup
		all.Add(1000)
		for i := 0; i < 1000; i++ {
			go all.Done()
		}
		all.Wait()
	}
}

// A goroutine that is bound to a thread of its own, as a fiber is to its
// worker; so that each item really goes from one thread to another.
func across(n, capacity int, back bool) {
	there, here := make(chan uint64, capacity), make(chan uint64, capacity)
	done := make(chan bool)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	go func() {
		runtime.LockOSThread()
		for x := range there {
			if back {
				here <- x
			}
		}
		done <- true
	}()
	for i := 0; i < n; i++ {
		there <- uint64(i)
		if back {
			<-here
		}
	}
	close(there)
	<-done
}

func leaf(x uint64) uint64 {
	for i := 0; i < work; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

func node(number, size int, sum *uint64, all *sync.WaitGroup) {
	defer all.Done()
	if size == 1 {
		*sum = leaf(uint64(number))
		return
	}
	var sums [fan]uint64
	var below sync.WaitGroup
	below.Add(fan)
	for i := 0; i < fan; i++ {
		go node(number+i*(size/fan), size/fan, &sums[i], &below)
	}
	below.Wait()
	for _, s := range sums {
		*sum += s
	}
}

func divide(rounds int, what string) {
	work = rounds
	for _, processors := range []int{1, 2} {
		runtime.GOMAXPROCS(processors)
		name := fmt.Sprintf("%s, GOMAXPROCS %d", what, processors)
		report(name, "ms", 1e6, 1, 5, func(n int) {
			var sum uint64
			var all sync.WaitGroup
			all.Add(1)
			go node(0, leaves, &sum, &all)
			all.Wait()
		})
	}
}

func main() {
	fmt.Printf("workers, beside: %s\n", runtime.Version())
	runtime.GOMAXPROCS(2)
	report("spawn and join", "ns", 1, 200000, 5, spawnAndJoin)
	report("1000 at once, each", "ns", 1, 1000000, 5, spawnMany)
	report("item to another thread and back", "ns", 1, 20000, 5,
		func(n int) { across(n, 0, true) })
	report("item to another thread, through 128", "ns", 1, 1000000, 5,
		func(n int) { across(n, 128, false) })
	divide(0, "1,000,000 leaves")
	divide(500, "and half a microsecond each")
}
