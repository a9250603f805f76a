package keys_test

import (
	"fmt"
	"log"

	"ltskeeper/keys"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9tLyIqx6HTYuGkeVzBNHQ7YTtFnA4mAuS2BXuNcW3o"

// The fingerprint of a public key, as ssh-keygen -l and ssh show it.
func ExampleKey_Fingerprint() {
	key, err := keys.ParseKey(publicKey)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Type, key.Bits(), key.Fingerprint())
	// Output: ssh-ed25519 256 SHA256:+hcVJtMfvy2QOmuMFx3dH5A2mXzwUmKkJT8txAJFYQk
}

// A known_hosts file for two servers, of which one has a port of its own.
func ExampleRenderKnownHosts() {
	key, err := keys.ParseKey(publicKey)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", keys.RenderKnownHosts(keys.KnownHosts{
		Header: "# made by a program\n",
		Hosts: []keys.Host{
			{Names: []string{"app01"}, Keys: []keys.Key{key}},
			{Names: []string{"app02"}, Port: 2222, Keys: []keys.Key{key}},
		},
	}))
	// Output:
	// # made by a program
	// app01 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9tLyIqx6HTYuGkeVzBNHQ7YTtFnA4mAuS2BXuNcW3o
	// [app02]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9tLyIqx6HTYuGkeVzBNHQ7YTtFnA4mAuS2BXuNcW3o
}
