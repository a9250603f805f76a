package ltsconf_test

import (
	"fmt"
	"log"

	"ltskeeper/ltsconf"
)

const source = `# which servers
[default]
  LDM_SERVER = app01   # the old one
[lab]
  SOUND = False
[00:11:22:33:44:55]
  LIKE = lab
`

// A setting is changed, and every other byte stays.
func ExampleFile_Set() {
	f, err := ltsconf.Parse("lts.conf", []byte(source))
	if err != nil {
		log.Fatal(err)
	}
	if err := f.Set("default", "LDM_SERVER", "app01 app02"); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", f.Bytes())
	// Output:
	// # which servers
	// [default]
	//   LDM_SERVER = "app01 app02"   # the old one
	// [lab]
	//   SOUND = False
	// [00:11:22:33:44:55]
	//   LIKE = lab
}

// What one client sees, and where it comes from.
func ExampleFile_Lookup() {
	f, err := ltsconf.Parse("lts.conf", []byte(source))
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range f.Lookup(ltsconf.Identity{MAC: "00:11:22:33:44:55"}) {
		fmt.Printf("%s=%s from [%s] in line %d\n", s.Key, s.Value, s.Section, s.Line)
	}
	// Output:
	// LDM_SERVER=app01 from [default] in line 3
	// SOUND=False from [lab] in line 5
}

// What clients would not read as its author meant it.
func ExampleCheck() {
	for _, p := range ltsconf.Check("lts.conf", []byte("[pc1]\nLIKE = labs\n[lab]\nSOUND = True\n"), nil) {
		fmt.Println(p)
	}
	// Output:
	// lts.conf:2:8: warning: LIKE names [labs], which is not there
}
