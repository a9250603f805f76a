// Package inits says which program a client starts first, and whether the client root holds what
// that program needs to start.
//
// It works on an fs.FS as package clientfs does, and follows what Linux does in execve: fs/exec.c,
// fs/binfmt_script.c and fs/binfmt_elf.c.
package inits

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"ltskeeper/internal/clientfs"
)

// candidates are where the kernel looks for the first program, in its order (kernel_init in
// init/main.c). An initramfs looks there, too.
var candidates = []string{"sbin/init", "etc/init", "bin/init", "bin/sh"}

// FindInit returns the name of the program that a client starts first, such as "sbin/init". The
// error says what is missing: that there is no such program, or what the first one lacks. The
// kernel would try the next one then, but an initramfs does not, and a client that comes up with a
// shell alone is of no use.
//
// A script needs its interpreter, and a program its loader. A program for another machine than this
// one passes; so does one that may not be read here.
func FindInit(root fs.FS) (string, error) {
	for _, name := range candidates {
		isThere, err := hasName(root, name)
		if err != nil {
			return "", fmt.Errorf("/%s cannot be looked for: %w", name, err)
		}
		if !isThere {
			continue
		}
		if err := checkStarts(root, name, 0); err != nil {
			return "", fmt.Errorf("/%s %w", name, err)
		}
		return name, nil
	}
	return "", fmt.Errorf("there is no program to start in it (%s)", strings.Join(candidates, ", "))
}

// hasName reports whether a root has anything under a name, including a link that leads nowhere,
// but not a folder: some systems have a folder /etc/init.
func hasName(root fs.FS, name string) (bool, error) {
	dir, err := clientfs.Resolve(root, path.Dir(name))
	var info fs.FileInfo
	if err == nil {
		info, err = fs.Lstat(root, path.Join(dir, path.Base(name)))
	}
	switch {
	case clientfs.IsMissing(err):
		return false, nil
	case err != nil:
		return false, err
	case info.Mode()&fs.ModeSymlink != 0:
		_, target, err := clientfs.Stat(root, name)
		return err != nil || !target.IsDir(), nil
	}
	return !info.IsDir(), nil
}

// maxInterpreters is how many scripts may be each other's interpreters (exec_binprm in fs/exec.c).
const maxInterpreters = 5

// checkStarts says why the kernel would not start a program, as what follows its name in a
// sentence. It is the interpreter of as many scripts as depth says.
func checkStarts(root fs.FS, name string, depth int) error {
	f, start, err := openProgram(root, name)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	switch {
	case bytes.HasPrefix(start, []byte("#!")):
		interpreter := parseInterpreter(start)
		if interpreter == "" {
			return errors.New("is a script that names no interpreter")
		}
		if depth == maxInterpreters {
			return errors.New("is a script again, which is one too many")
		}
		if err := checkStarts(root, interpreter, depth+1); err != nil {
			return fmt.Errorf("is a script whose interpreter %s %w", quoteUnprintable(interpreter), err)
		}
		return nil
	case bytes.HasPrefix(start, []byte(elf.ELFMAG)):
		loader, err := readLoader(f, start)
		if err != nil || loader == "" {
			return err
		}
		if err := checkLoader(root, loader); err != nil {
			return fmt.Errorf("is a program whose loader %s %w", quoteUnprintable(loader), err)
		}
		return nil
	}
	return errors.New("is not a program")
}

// A program is an open file of a root.
type program interface {
	fs.File
	io.ReaderAt
}

// startSize is how much of a program the kernel looks at to tell what it is (BINPRM_BUF_SIZE).
const startSize = 256

// openProgram opens a file that a client may execute. Start is its first bytes, with zeros behind
// its end.
func openProgram(root fs.FS, name string) (f program, start []byte, err error) {
	place, info, err := clientfs.Stat(root, name)
	if clientfs.IsMissing(err) {
		if place, err := clientfs.Resolve(root, name); err == nil &&
			place != strings.TrimPrefix(path.Clean("/"+name), "/") {
			return nil, nil, fmt.Errorf("leads to /%s, which does not exist", place)
		}
		return nil, nil, errors.New("does not exist")
	}
	switch {
	case err != nil:
		return nil, nil, newReadError(err)
	case !info.Mode().IsRegular():
		return nil, nil, errors.New("is not a regular file")
	case info.Mode()&0o111 == 0:
		return nil, nil, errors.New("is not executable")
	}
	opened, err := root.Open(place)
	if err != nil {
		return nil, nil, newReadError(err)
	}
	start, err = make([]byte, startSize), errors.ErrUnsupported
	f, ok := opened.(program)
	if ok {
		_, err = f.ReadAt(start, 0)
	}
	if err != nil && err != io.EOF {
		opened.Close()
		return nil, nil, newReadError(err)
	}
	return f, start, nil
}

func newReadError(err error) error { return fmt.Errorf("cannot be read: %w", err) }

// parseInterpreter returns the interpreter that a script names, as load_script in
// fs/binfmt_script.c finds it; empty if it names none.
func parseInterpreter(start []byte) string {
	line, _, hasEnd := bytes.Cut(start[2:], []byte("\n"))
	if !hasEnd {
		line = line[:len(line)-1]
	}
	line = bytes.TrimLeft(line, " \t")
	end := bytes.IndexAny(line, " \t\x00")
	if end < 0 {
		if !hasEnd {
			return "" // cut off
		}
		end = len(line)
	}
	return string(line[:end])
}

// maxLoader is how long a loader's path may be (PATH_MAX), with the zero at its end.
const maxLoader = 4096

// maxSegments is how many bytes of program headers the kernel takes (load_elf_phdrs in
// fs/binfmt_elf.c).
const maxSegments = 65536

var errDamaged = errors.New("is a damaged program")

// readLoader returns the loader that an ELF program asks for (PT_INTERP), empty if it asks for
// none.
func readLoader(f io.ReaderAt, start []byte) (string, error) {
	order, isKnown := map[byte]binary.ByteOrder{
		byte(elf.ELFDATA2LSB): binary.LittleEndian, byte(elf.ELFDATA2MSB): binary.BigEndian,
	}[start[elf.EI_DATA]]
	if !isKnown {
		return "", errDamaged
	}
	var h elf.Header64
	size := binary.Size(elf.Prog64{})
	switch elf.Class(start[elf.EI_CLASS]) {
	case elf.ELFCLASS64:
		binary.Decode(start, order, &h) // start is long enough
	case elf.ELFCLASS32:
		var narrow elf.Header32
		binary.Decode(start, order, &narrow)
		h.Type, h.Phoff, h.Phnum, h.Phentsize = narrow.Type, uint64(narrow.Phoff), narrow.Phnum, narrow.Phentsize
		size = binary.Size(elf.Prog32{})
	default:
		return "", errDamaged
	}
	kind, count := elf.Type(h.Type), int(h.Phnum)
	if kind != elf.ET_EXEC && kind != elf.ET_DYN || int(h.Phentsize) != size || count == 0 ||
		count*size > maxSegments {
		return "", errDamaged
	}
	segments, err := readPart(f, h.Phoff, count*size)
	if err != nil {
		return "", err
	}
	for ; len(segments) > 0; segments = segments[size:] {
		var s elf.Prog64
		if elf.Class(start[elf.EI_CLASS]) == elf.ELFCLASS64 {
			binary.Decode(segments, order, &s)
		} else {
			var narrow elf.Prog32
			binary.Decode(segments, order, &narrow)
			s.Type, s.Off, s.Filesz = narrow.Type, uint64(narrow.Off), uint64(narrow.Filesz)
		}
		if elf.ProgType(s.Type) != elf.PT_INTERP {
			continue
		}
		if s.Filesz < 2 || s.Filesz > maxLoader {
			return "", errDamaged
		}
		loader, err := readPart(f, s.Off, int(s.Filesz))
		if err == nil && loader[len(loader)-1] != 0 {
			err = errDamaged
		}
		loader, _, _ = bytes.Cut(loader, []byte{0})
		return string(loader), err
	}
	return "", nil
}

// readPart reads n bytes of a program from an offset on.
func readPart(f io.ReaderAt, offset uint64, n int) ([]byte, error) {
	if offset > 1<<62 {
		return nil, errDamaged
	}
	part := make([]byte, n)
	switch got, err := f.ReadAt(part, int64(offset)); {
	case got == n:
		return part, nil
	case err == io.EOF:
		return nil, errDamaged
	default:
		return nil, newReadError(err)
	}
}

// checkLoader says why the kernel would not take a file as a loader.
func checkLoader(root fs.FS, name string) error {
	f, start, err := openProgram(root, name)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if !bytes.HasPrefix(start, []byte(elf.ELFMAG)) {
		return errors.New("is not a program")
	}
	return nil
}

// quoteUnprintable returns a name as it is, quoted if it has characters that a reader could not
// see.
func quoteUnprintable(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
