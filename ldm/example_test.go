package ldm_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"ltskeeper/ldm"
)

// Two servers are asked, of which one answers, and put into the order in which to try them.
func Example() {
	answers := map[string]string{"app01:9571": "rating:20\n", "app02:9571": "rating:90\nlanguage:en_GB.UTF-8\n"}
	asker := ldm.Asker{Timeout: time.Second, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			server.Write([]byte(answers[address]))
			server.Close()
		}()
		return client, nil
	}}
	replies := asker.Ask(context.Background(), []ldm.Server{{Name: "app01"}, {Name: "app02"}})
	candidates := ldm.ListCandidates(replies, nil)
	for _, c := range ldm.Best.Rank(candidates, rand.New(rand.NewPCG(1, 1))) {
		fmt.Println(c.Name, c.Rating)
	}
	// Output:
	// app02 90
	// app01 20
}

// What a server says of itself.
func ExampleParse() {
	answer := ldm.Parse([]byte("language:de_DE.UTF-8\nlanguage:en_GB.UTF-8\nrating:75\n"))
	fmt.Println(answer.Rating, answer.Languages)
	// Output: 75 [de_DE.UTF-8 en_GB.UTF-8]
}
