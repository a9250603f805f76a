// Package testscripts is what an admin types and sees: one story a script, told with the real
// ltskeeper against real sshd, ssh and squashfs tools. Each script has a folder of its own and
// servers on loopback addresses of their own, so that all run at the same time.
//
// Beside testscript's own commands, which `go doc testscript` explains, scripts use:
//
//	exits CODE COMMAND...        run a command that ends with that exit code
//	sshd start NAME [TYPE]...    start an SSH server, or start it again; $NAME is its address, its
//	                             port 2222
//	sshd stop NAME
//	sshd newkeys NAME [TYPE]...  give it other host keys
//	sshd addkey NAME TYPE        give it a further host key
//	sshd dropkey NAME TYPE       take the first of its host keys of that type away
//	sshd certify NAME CA [ARG]...
//	                             give its host keys certificates, made by ssh-keygen -s CA with
//	                             these arguments
//	admit NAME KEY.pub           let $ME log in there with that key, and do nothing else
//	fingerprint NAME TYPE VAR    put the fingerprint of a host key into a variable
//	login KNOWN_HOSTS HOST NAME [OPTION]...
//	                             log in to the server NAME as a client does, looking HOST up in
//	                             KNOWN_HOSTS; "-" is its address
//	accepts KNOWN_HOSTS HOST NAME [ALGORITHM]...
//	                             with each host key algorithm forced in turn, such a login
//	                             succeeds with these and fails with every other
//	tarpit NAME                  listen on port 2222 of $NAME and never say a word
//	greeter NAME TEXT            listen likewise, greet with a text in Go's syntax, and close
//	infod NAME TEXT [forever]    listen on port 9571 of $NAME, answer with such a text, or with it
//	                             again and again
//	visitor NAME                 wait until somebody connects to the tarpit
//	root DIR                     make a small client root
//	photograph PATH...           remember everything below these: names, contents, modes, owners,
//	                             times, inodes; below those after -files not the times of folders,
//	                             where work is done and undone
//	unchanged                    nothing of what was photographed last is different
//	lock FILE, unlock FILE       hold the lock on a file, as another run of ltskeeper does
//	apt ROOT                     hold the lock that apt and dpkg take in a root
//	fakelock DIR FILE hang|ERRNO what is in DIR is on a file system from now on where calls
//	                             that lock FILE never return, or fail, as with ENOLCK
//	waitlock DIR FILE            wait until such a call hangs
//	locker FILE                  a process that takes locks for ltskeeper still waits for that one
//
// Beside ltskeeper they find get_hosts, ldmselect and ldminfod on their PATH, promtool where
// scripts/need unpacked it, and in $CLIENT as [balance] binaries wants them.
//
// The condition [root] is for what only root may do.
package testscripts

import (
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"ltskeeper/internal/testkit"
	"ltskeeper/internal/testkit/disktest"
	"ltskeeper/internal/testkit/elftest"
	"ltskeeper/internal/testkit/programs"
	"ltskeeper/internal/testkit/sshdtest"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
)

var binary string // ltskeeper's folder

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if binary, err = os.MkdirTemp("", "ltskeeper-test"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binary)
	os.Setenv("GOTMPDIR", binary) // where testscript leaves an empty folder behind
	return m.Run()
}

var built sync.Once

// build builds what the scripts run, once.
func build(t *testing.T) {
	built.Do(func() {
		programs.Build(t, binary, "ltskeeper")
		programs.Build(t, clients(), "get_hosts", "ldmselect", "ldminfod")
	})
}

// clients is where the programs for clients of this architecture are: not beside ltskeeper, which
// would put them into every script's roots.
func clients() string {
	arch, ok := map[string]string{"386": "i386", "arm": "armhf"}[runtime.GOARCH] // in Debian's words
	if !ok {
		arch = runtime.GOARCH
	}
	return filepath.Join(binary, "client", arch)
}

func TestScripts(t *testing.T) {
	build(t)
	testkit.NeedPrograms(t, "ssh", "ssh-keygen", "unsquashfs")
	deadline, _ := t.Deadline()
	testscript.RunT(scriptT{t}, testscript.Params{
		Deadline:            deadline,
		Dir:                 ".",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH",
				strings.Join([]string{binary, clients(), env.Getenv("PATH"), testkit.Cached("prometheus/usr/bin")},
					string(os.PathListSeparator)))
			env.Setenv("CLIENT", filepath.Dir(clients()))
			env.Setenv("LTSKEEPER_CONFIG", filepath.Join(env.WorkDir, "ltskeeper.toml"))
			me, err := user.Current()
			if err != nil {
				return err
			}
			env.Setenv("ME", me.Username)
			s := &story{
				t: env.T().(scriptT).T, servers: map[string]*sshdtest.Server{}, listeners: map[string]net.Listener{},
				locks: map[string]*os.File{}, disks: map[string]*disktest.FakedDisk{},
			}
			env.Values[storyKey{}] = s
			env.Defer(s.end)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       exits,
			"sshd":        sshd,
			"admit":       admit,
			"fingerprint": fingerprint,
			"login":       login,
			"accepts":     accepts,
			"tarpit":      tarpit,
			"greeter":     greeter,
			"infod":       infod,
			"visitor":     visitor,
			"root":        root,
			"photograph":  photograph,
			"unchanged":   unchanged,
			"lock":        lock,
			"unlock":      unlock,
			"apt":         apt,
			"fakelock":    fakelock,
			"waitlock":    waitlock,
			"locker":      locker,
		},
	})
}

// scriptT is what testscript.Run makes of a test, and tells a script's commands which test theirs
// is.
type scriptT struct{ *testing.T }

func (t scriptT) Run(name string, script func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) { script(scriptT{t}) })
}

func (t scriptT) Verbose() bool { return testing.Verbose() }

// A story is what a script has going.
type story struct {
	t         *testing.T
	disks     map[string]*disktest.FakedDisk
	servers   map[string]*sshdtest.Server
	listeners map[string]net.Listener
	locks     map[string]*os.File
	album     map[string]string // what stands at a path
	scene     []string          // as photograph was told
}

type storyKey struct{}

func of(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

func (s *story) end() {
	for _, server := range s.servers {
		server.Stop()
	}
	for _, l := range s.listeners {
		l.Close()
	}
	for _, f := range s.locks {
		f.Close()
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func sshd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sshd start|stop|newkeys|addkey|dropkey NAME [TYPE]...")
	}
	verb, name, types := args[0], args[1], args[2:]
	servers := of(ts).servers
	s := servers[name]
	if s == nil && verb == "start" {
		dir := filepath.Join(ts.Getenv("TMPDIR"), "sshd-"+name)
		ts.Check(os.Mkdir(dir, 0o755))
		if len(types) == 0 {
			types = []string{"ed25519"}
		}
		s, err := sshdtest.New(dir, sshdtest.Options{KeyTypes: types, Address: ts.Getenv(name)})
		if errors.Is(err, sshdtest.ErrNoServer) && !testkit.IsStrict() {
			ts.Logf("%v", err)
			ts.Fatalf("no sshd here")
		}
		ts.Check(err)
		servers[name] = s
		ts.Setenv(name, s.Address)
		return
	}
	if s == nil {
		ts.Fatalf("there is no server %s", name)
	}
	switch verb {
	case "start":
		ts.Check(s.Restart())
	case "stop":
		s.Stop()
	case "newkeys":
		ts.Check(s.ChangeKeys(types...))
	case "certify":
		ts.Check(s.Certify(ts.MkAbs(types[0]), types[1:]...))
	case "addkey":
		ts.Check(s.AddKey(types[0]))
	case "dropkey":
		ts.Check(s.DropKey(types[0]))
	default:
		ts.Fatalf("sshd does not know %s", verb)
	}
}

// admit does what an admin does on a server so that its keys can be proven.
func admit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: admit NAME KEY.pub")
	}
	s := of(ts).servers[args[0]]
	if s == nil {
		ts.Fatalf("there is no server %s", args[0])
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, "authorized_keys"), os.O_WRONLY|os.O_APPEND, 0)
	ts.Check(err)
	_, err = f.WriteString(`restrict,command="/bin/false" ` + ts.ReadFile(args[1]))
	ts.Check(errors.Join(err, f.Close()))
}

func fingerprint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fingerprint NAME TYPE VAR")
	}
	s := of(ts).servers[args[0]]
	if s == nil {
		ts.Fatalf("there is no server %s", args[0])
	}
	for _, line := range s.PublicKeys() {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		ts.Check(err)
		if key.Type() == args[1] {
			ts.Setenv(args[2], ssh.FingerprintSHA256(key))
			return
		}
	}
	ts.Fatalf("%s has no %s key", args[0], args[1])
}

// login does what a client does with the known_hosts of its image: no question, no other file.
func login(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: login KNOWN_HOSTS HOST NAME [OPTION]...")
	}
	err := runOnServer(ts, args[0], args[1], args[2], args[3:]...)
	switch {
	case neg && err == nil:
		ts.Fatalf("the login succeeded")
	case !neg && err != nil:
		ts.Fatalf("the login failed: %v", err)
	}
}

// algorithms are the host key algorithms that a client may ask for.
var algorithms = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512,
	ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoRSASHA512v01,
}

func accepts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: accepts KNOWN_HOSTS HOST NAME [ALGORITHM]...")
	}
	for _, want := range args[3:] {
		if !slices.Contains(algorithms, want) {
			ts.Fatalf("%s is none of %v", want, algorithms)
		}
	}
	for _, algorithm := range algorithms {
		err := runOnServer(ts, args[0], args[1], args[2], "-o", "HostKeyAlgorithms="+algorithm)
		if want := slices.Contains(args[3:], algorithm); (err == nil) != want {
			ts.Fatalf("login with %s: %v; want it to succeed: %t", algorithm, err, want)
		}
	}
}

// runOnServer runs a command on the server name, whose host key is looked up as host in a
// known_hosts file.
func runOnServer(ts *testscript.TestScript, knownHosts, host, name string, further ...string) error {
	s := of(ts).servers[name]
	if s == nil {
		ts.Fatalf("there is no server %s", name)
	}
	port := strconv.Itoa(s.Port)
	options := append([]string{"-F", "none", "-i", s.Identity, "-p", port,
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "GlobalKnownHostsFile=" + ts.MkAbs(knownHosts), "-o", "UserKnownHostsFile=none",
	}, further...)
	if host != "-" {
		options = append(options, "-o", "HostKeyAlias=["+host+"]:"+port)
	}
	return ts.Exec("ssh", append(options, s.User+"@"+s.Address, "echo", "hello")...)
}

// listen listens on port 2222 of an address that nobody else has, and puts it into a variable.
func listen(ts *testscript.TestScript, variable, port string) net.Listener {
	for i := range 200 {
		address := fmt.Sprintf("127.%d.%d.%d", 11+i%4, os.Getpid()%256, 1+i)
		l, err := net.Listen("tcp", net.JoinHostPort(address, port))
		if err != nil {
			continue
		}
		of(ts).listeners[variable] = l
		ts.Setenv(variable, address)
		return l
	}
	ts.Fatalf("no address is free")
	return nil
}

func tarpit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tarpit NAME")
	}
	listen(ts, args[0], "2222") // The kernel completes the handshakes; nobody accepts.
}

func greeter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: greeter NAME TEXT")
	}
	say(ts, listen(ts, args[0], "2222"), args[1], false)
}

func infod(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 || len(args) == 3 && args[2] != "forever" {
		ts.Fatalf("usage: infod NAME TEXT [forever]")
	}
	say(ts, listen(ts, args[0], "9571"), args[1], len(args) == 3)
}

// say tells everybody who connects the text, which is in Go's syntax, once or until they have
// enough.
func say(ts *testscript.TestScript, l net.Listener, text string, forever bool) {
	text, err := strconv.Unquote(`"` + text + `"`)
	ts.Check(err)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for again := true; again; {
					_, err := io.WriteString(conn, text)
					again = forever && err == nil
				}
			}()
		}
	}()
}

func visitor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: visitor NAME")
	}
	conn, err := of(ts).listeners[args[0]].Accept()
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
}

func root(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: root DIR")
	}
	dir := ts.MkAbs(args[0])
	for _, folder := range []string{"bin", "sbin", "etc/ssh", "usr", "var/lib/dpkg", "tmp", "proc"} {
		ts.Check(os.MkdirAll(filepath.Join(dir, folder), 0o755))
	}
	for name, content := range map[string]string{
		"bin/sh":         string(elftest.Static(elf.EM_X86_64)),
		"etc/os-release": "PRETTY_NAME=\"a small client\"\n",
		"etc/hostname":   "client\n",
	} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755))
	}
	ts.Check(os.Symlink("../bin/sh", filepath.Join(dir, "sbin/init")))
}

func photograph(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: photograph PATH...")
	}
	s := of(ts)
	s.scene = nil
	for _, path := range args {
		if path != filesOnly {
			path = ts.MkAbs(path)
		}
		s.scene = append(s.scene, path)
	}
	var err error
	s.album, err = look(s.scene)
	ts.Check(err)
}

func unchanged(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	if neg || len(args) > 0 || len(s.scene) == 0 {
		ts.Fatalf("usage: unchanged, after photograph")
	}
	now, err := look(s.scene)
	ts.Check(err)
	var differ []string
	for path, is := range now {
		if was, there := s.album[path]; !there {
			differ = append(differ, path+" is new")
		} else if was != is {
			differ = append(differ, fmt.Sprintf("%s\n\twas %s\n\tis  %s", path, was, is))
		}
	}
	for path := range s.album {
		if _, there := now[path]; !there {
			differ = append(differ, path+" is gone")
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		ts.Fatalf("these changed:\n%s", strings.Join(differ, "\n"))
	}
}

const filesOnly = "-files"

// look describes everything below the paths.
func look(paths []string) (map[string]string, error) {
	album := map[string]string{}
	timeless := false
	for _, path := range paths {
		if path == filesOnly {
			timeless = true
			continue
		}
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == path {
				return nil
			}
			if err != nil {
				return err
			}
			if d.Name() == ".tmp" { // where the servers live
				return fs.SkipDir
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			stat := info.Sys().(*syscall.Stat_t)
			description := fmt.Sprintf("%s %d:%d inode %d", info.Mode(), stat.Uid, stat.Gid, stat.Ino)
			if !timeless || !d.IsDir() {
				description += info.ModTime().UTC().Format(", 15:04:05.000000000")
			}
			switch {
			case info.Mode().IsRegular():
				data, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				description += fmt.Sprintf(", %d bytes %x", len(data), sha256.Sum256(data))
			case info.Mode()&fs.ModeSymlink != 0:
				target, err := os.Readlink(name)
				if err != nil {
					return err
				}
				description += " -> " + target
			}
			album[name] = description
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return album, nil
}

func lock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lock FILE")
	}
	path := ts.MkAbs(args[0])
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	ts.Check(err)
	of(ts).locks[path] = f
	ts.Check(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
}

func unlock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unlock FILE")
	}
	path := ts.MkAbs(args[0])
	ts.Check(of(ts).locks[path].Close())
	delete(of(ts).locks, path)
}

// apt takes dpkg's lock as dpkg does, with fcntl. It is given back when the script ends.
func apt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: apt ROOT")
	}
	path := filepath.Join(ts.MkAbs(args[0]), "var/lib/dpkg/lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	ts.Check(err)
	of(ts).locks[path] = f
	ts.Check(syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}))
}

// fakelock mounts a file system over a folder, if there is none, and has it fail to lock a file, or
// never answer.
func fakelock(ts *testscript.TestScript, neg bool, args []string) {
	errnos := map[string]syscall.Errno{"hang": 0, "ENOLCK": syscall.ENOLCK, "ENOSYS": syscall.ENOSYS}
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fakelock DIR FILE hang|ERRNO")
	}
	errno, known := errnos[args[2]]
	if !known {
		ts.Fatalf("fakelock does not know %s", args[2])
	}
	s := of(ts)
	if s.disks[args[0]] == nil {
		s.disks[args[0]] = disktest.Faked(s.t, ts.MkAbs(args[0]))
	}
	s.disks[args[0]].Set(args[1], disktest.Fake{Lock: errno, LockHangs: errno == 0})
}

func waitlock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitlock DIR FILE")
	}
	of(ts).disks[args[0]].WaitForLock(args[1])
}

// locker looks for threads: of a process that was killed, the one that waits is left.
func locker(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] locker FILE")
	}
	links, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/fd/[0-9]*")
	ts.Check(err)
	found := slices.ContainsFunc(links, func(link string) bool {
		if target, err := os.Readlink(link); err != nil || target != ts.MkAbs(args[0]) {
			return false
		}
		words, err := os.ReadFile(filepath.Join(link, "../../cmdline"))
		return err == nil && strings.HasPrefix(string(words), "ltskeeper: locks ")
	})
	if found == neg {
		ts.Fatalf("a process waits for %s: %v", args[0], found)
	}
}
