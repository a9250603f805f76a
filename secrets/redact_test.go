package secrets

import (
	"slices"
	"testing"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	const hash = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
	for _, test := range []struct{ path, content, want string }{
		{"etc/shadow", "root:" + hash + ":19000:0:99999:7:::\nx:*:1::::::\n",
			"root:*:19000:0:99999:7:::\nx:*:1::::::\n"},
		{"etc/shadow", "a:!" + hash + ":1:\nb:!!:1:\nc:!*:1:\nd:*:1:\ne::1:\nf:!:1:\ng:!!" + hash + ":",
			"a:!*:1:\nb:!!:1:\nc:!*:1:\nd:*:1:\ne::1:\nf:!:1:\ng:!!*:"},
		{"etc/shadow", "a:*" + hash + ":1:\nb:aBcDeFgHiJkLm:1:\nc:x:1\n", "a:*:1:\nb:*:1:\nc:x:1\n"},
		{"etc/shadow", "a:$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA:1\n", "a:*:1\n"},
		{"etc/shadow", "a:" + hash, "a:*"},
		{"etc/shadow", "\nnone\n+::::::\n\n", "\nnone\n+::::::\n\n"},
		{"etc/shadow", "", ""},
		{"etc/shadow-", "a:" + hash + ":\r\n", "a:*:\r\n"},
		{"etc/gshadow", "staff:" + hash + ":root:a,b\nadm:!::\nx:*::\ny:::a\n",
			"staff:*:root:a,b\nadm:!::\nx:*::\ny:::a\n"},
		{"etc/gshadow-", "a:" + hash + "::\n", "a:*::\n"},
		{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\na:" + hash + ":1:1::/:\n",
			"root:x:0:0:root:/root:/bin/sh\na:*:1:1::/:\n"},
		{"etc/passwd-", "a:" + hash + ":1:1::/:\n", "a:*:1:1::/:\n"},
		{"etc/group", "a:x:1:b\nb:" + hash + ":2:\n", "a:x:1:b\nb:*:2:\n"},
		{"etc/group-", "b:" + hash + ":2:\n", "b:*:2:\n"},
		{"etc/security/opasswd", "a:1000:2:" + hash + "," + hash + "\nb:1:0:\n", "a:1000:2:*\nb:1:0:\n"},
		{"etc/security/opasswd.old", "a:1000:1:" + hash + "\n", "a:1000:1:*\n"},
		{"etc/machine-id", "d41d8cd98f00b204e9800998ecf8427e\n", ""},
		{"etc/machine-id", "uninitialized\n", "uninitialized\n"},
		{"etc/machine-id", "", ""},
		{"var/lib/dbus/machine-id", "d41d8cd98f00b204e9800998ecf8427e\n", ""},
		{"etc/shadow.conf", "a:" + hash + ":\n", "a:" + hash + ":\n"},
		{"usr/etc/shadow", "a:" + hash + ":\n", "a:" + hash + ":\n"},
	} {
		got, changed := RedactFile(test.path, []byte(test.content))
		if string(got) != test.want || changed != (test.content != test.want) {
			t.Errorf("%s: %q became %q (changed: %v), not %q", test.path, test.content, got, changed, test.want)
		}
		if again, changed := RedactFile(test.path, got); changed {
			t.Errorf("%s: %q became %q the second time", test.path, got, again)
		}
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	paths := ListRedacted()
	if !slices.IsSorted(paths) || len(paths) != len(redactions) {
		t.Error(paths)
	}
	for _, path := range paths {
		if _, changed := RedactFile(path, []byte("a:b:c:d:e\n")); !changed {
			t.Errorf("%s is not redacted", path)
		}
		if findRule(path) != nil {
			t.Errorf("%s has a rule as well", path)
		}
	}
}
