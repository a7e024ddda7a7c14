// Command load calls a gRPC method with requests that were serialized before, and says in JSON how that went.
//
//	load -address 127.0.0.1:50051 -method /pkg.Service/Method -requests FILE -seconds 5 -concurrency 32
//
// FILE holds requests one after the other, each behind its length as four bytes, little-endian; they are sent in turns. Replies are
// counted and thrown away. With -rate so many calls a second are begun whatever becomes of them, and a call's time begins when it was due:
// a server that falls behind is not spared. With -stream each of the concurrent callers keeps one bidirectional stream open, and sends
// the next message when the reply to the last has come. With -http the method is a path, and requests are posted there as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// raw passes bytes through: what is measured is the server.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

type plan struct {
	method      string
	requests    [][]byte
	seconds     float64
	concurrency int
	rate        float64
	stream      bool
	http        bool
	deadline    time.Duration
}

type report struct {
	Calls         int            `json:"calls"`
	Errors        map[string]int `json:"errors"`
	Seconds       float64        `json:"seconds"`
	P50           float64        `json:"p50_us"`
	P90           float64        `json:"p90_us"`
	P99           float64        `json:"p99_us"`
	Max           float64        `json:"max_us"`
	FirstError    string         `json:"first_error,omitempty"`
	FirstP99      float64        `json:"p99_of_first_tenth_us"`
	LastP99       float64        `json:"p99_of_last_tenth_us"`
	P99OfTenths   []float64      `json:"p99_us_of_tenths"`
	RepliedAtMost int            `json:"largest_reply_bytes"`
}

type call struct {
	took   time.Duration
	bytes  int
	failed string
	why    string
}

func main() {
	var p plan
	address := flag.String("address", "127.0.0.1:50051", "host:port of the server")
	file := flag.String("requests", "", "file of serialized requests")
	flag.StringVar(&p.method, "method", "", "full name of the method, such as /pkg.Service/Method")
	flag.Float64Var(&p.seconds, "seconds", 5, "how long to call")
	flag.IntVar(&p.concurrency, "concurrency", 1, "calls in flight at once; with -rate at most so many")
	flag.Float64Var(&p.rate, "rate", 0, "calls a second that are begun; 0: as soon as the last has ended")
	flag.BoolVar(&p.stream, "stream", false, "use bidirectional streams")
	flag.BoolVar(&p.http, "http", false, "post to a path instead of calling a method")
	flag.DurationVar(&p.deadline, "deadline", 10*time.Second, "of a call")
	flag.Parse()
	if err := run(*address, *file, p); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(address, file string, p plan) error {
	var err error
	if p.requests, err = read(file); err != nil {
		return err
	}
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	defer connection.Close()
	begun := time.Now()
	calls := p.drive(connection)
	return json.NewEncoder(os.Stdout).Encode(summary(calls, time.Since(begun).Seconds()))
}

func read(file string) ([][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var requests [][]byte
	for len(data) >= 4 {
		size := int(binary.LittleEndian.Uint32(data))
		if len(data) < 4+size {
			return nil, errors.New("the file of requests ends in the middle of one")
		}
		requests, data = append(requests, data[4:4+size]), data[4+size:]
	}
	if len(requests) == 0 {
		return nil, errors.New("the file holds no request")
	}
	return requests, nil
}

// drive returns the calls made, in the order in which each caller made them.
func (p plan) drive(connection *grpc.ClientConn) []call {
	end := time.Now().Add(time.Duration(p.seconds * float64(time.Second)))
	due := p.due(end)
	made := make([][]call, p.concurrency)
	var next atomic.Int64
	var callers sync.WaitGroup
	for caller := range made {
		callers.Add(1)
		go func() {
			defer callers.Done()
			ask := p.asker(connection)
			for at := range due {
				request := p.requests[int(next.Add(1)-1)%len(p.requests)]
				if p.rate == 0 {
					at = time.Now()
				}
				size, err := ask(request)
				one := call{took: time.Since(at), bytes: size}
				if err != nil {
					one.failed, one.why = status.Code(err).String(), err.Error()
				}
				made[caller] = append(made[caller], one)
			}
		}()
	}
	callers.Wait()
	return joined(made)
}

// due gives the moments at which calls are due, until the end.
func (p plan) due(end time.Time) <-chan time.Time {
	waiting := 0
	if p.rate > 0 {
		// Calls that nobody is free to make are late, not left out.
		waiting = int(p.rate * p.seconds)
	}
	due := make(chan time.Time, waiting)
	go func() {
		defer close(due)
		if p.rate == 0 {
			for at := time.Now(); at.Before(end); at = time.Now() {
				due <- at
			}
			return
		}
		every := time.Duration(float64(time.Second) / p.rate)
		for at := time.Now(); at.Before(end); at = at.Add(every) {
			time.Sleep(time.Until(at))
			due <- at
		}
	}()
	return due
}

func (p plan) asker(connection *grpc.ClientConn) func([]byte) (int, error) {
	if p.stream {
		return p.streamer(connection)
	}
	if p.http {
		return p.poster(connection.Target())
	}
	return func(request []byte) (int, error) {
		ctx, cancel := context.WithTimeout(context.Background(), p.deadline)
		defer cancel()
		var reply []byte
		err := connection.Invoke(ctx, p.method, &request, &reply)
		return len(reply), err
	}
}

func (p plan) streamer(connection *grpc.ClientConn) func([]byte) (int, error) {
	description := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	stream, err := connection.NewStream(context.Background(), description, p.method)
	return func(request []byte) (int, error) {
		if err != nil {
			return 0, err
		}
		if err = stream.SendMsg(&request); err != nil {
			return 0, err
		}
		var reply []byte
		if err = stream.RecvMsg(&reply); err == io.EOF {
			err = errors.New("the stream ended")
		}
		return len(reply), err
	}
}

func (p plan) poster(address string) func([]byte) (int, error) {
	// Each caller has a client, and so a connection, of its own.
	client := &http.Client{Transport: &http.Transport{}, Timeout: p.deadline}
	url := "http://" + address + p.method
	return func(request []byte) (int, error) {
		reply, err := client.Post(url, "application/json", bytes.NewReader(request))
		if err != nil {
			return 0, err
		}
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		if err == nil && reply.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", reply.Status, body)
		}
		return len(body), err
	}
}

func joined(made [][]call) []call {
	var all []call
	longest := 0
	for _, calls := range made {
		longest = max(longest, len(calls))
	}
	for index := range longest {
		for _, calls := range made {
			if index < len(calls) {
				all = append(all, calls[index])
			}
		}
	}
	return all
}

func summary(calls []call, seconds float64) report {
	told := report{Calls: len(calls), Errors: map[string]int{}, Seconds: seconds}
	for _, one := range calls {
		if one.failed != "" {
			told.Errors[one.failed]++
			if told.FirstError == "" {
				told.FirstError = one.why
			}
		}
		told.RepliedAtMost = max(told.RepliedAtMost, one.bytes)
	}
	if len(calls) > 0 {
		tenths := inTenths(calls)
		for _, tenth := range tenths {
			told.P99OfTenths = append(told.P99OfTenths, quantile(tenth, .99))
		}
		told.P50, told.P90, told.P99, told.Max = quantile(calls, .5), quantile(calls, .9), quantile(calls, .99), quantile(calls, 1)
		told.FirstP99, told.LastP99 = told.P99OfTenths[0], told.P99OfTenths[len(tenths)-1]
	}
	return told
}

// inTenths returns the calls in ten slices, or in as many as there are calls.
func inTenths(calls []call) [][]call {
	count := min(10, len(calls))
	tenths := make([][]call, count)
	for number := range tenths {
		tenths[number] = calls[number*len(calls)/count : (number+1)*len(calls)/count]
	}
	return tenths
}

func quantile(calls []call, share float64) float64 {
	took := make([]time.Duration, len(calls))
	for index, one := range calls {
		took[index] = one.took
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return float64(took[min(len(took)-1, int(share*float64(len(took))))].Nanoseconds()) / 1000
}
