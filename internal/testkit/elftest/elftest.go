// Package elftest makes small programs for tests: a kernel starts them, and they do nothing.
package elftest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// exit is what ends a process, in machine code.
var exit = map[elf.Machine]string{
	elf.EM_X86_64: "\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05", // mov eax, 60; xor edi, edi; syscall
	elf.EM_386:    "\xb8\x01\x00\x00\x00\x31\xdb\xcd\x80", // mov eax, 1; xor ebx, ebx; int 0x80
}

// Static returns a program that needs no loader. Those for x86 exit with 0; others have no code.
func Static(machine elf.Machine) []byte { return program(machine, "") }

// Dynamic returns a program that asks for a loader, by its path.
func Dynamic(machine elf.Machine, loader string) []byte { return program(machine, loader) }

// program writes the header, the program headers, the code, and the loader's path.
func program(machine elf.Machine, loader string) []byte {
	const base = 0x400000
	is64 := machine != elf.EM_386 && machine != elf.EM_ARM
	code := exit[machine]
	interpreter := loader + "\x00"
	segments := 1
	if loader != "" {
		segments = 2
	}
	headerSize, segmentSize := 52, 32
	if is64 {
		headerSize, segmentSize = 64, 56
	}
	codeAt := headerSize + segments*segmentSize
	loaderAt := codeAt + len(code)
	size := loaderAt + len(interpreter)

	var b bytes.Buffer
	write := func(v any) { binary.Write(&b, binary.LittleEndian, v) }
	ident := [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), 1}
	if is64 {
		ident[4] = byte(elf.ELFCLASS64)
		write(elf.Header64{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Entry: base + uint64(codeAt),
			Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(segments), Shentsize: 64,
		})
		if loader != "" {
			write(elf.Prog64{Type: uint32(elf.PT_INTERP), Flags: uint32(elf.PF_R), Off: uint64(loaderAt),
				Vaddr:  base + uint64(loaderAt),
				Filesz: uint64(len(interpreter)), Memsz: uint64(len(interpreter)), Align: 1})
		}
		write(elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base,
			Filesz: uint64(size), Memsz: uint64(size), Align: 4096})
	} else {
		write(elf.Header32{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Entry: base + uint32(codeAt),
			Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: uint16(segments), Shentsize: 40,
		})
		if loader != "" {
			write(elf.Prog32{Type: uint32(elf.PT_INTERP), Flags: uint32(elf.PF_R), Off: uint32(loaderAt),
				Vaddr:  base + uint32(loaderAt),
				Filesz: uint32(len(interpreter)), Memsz: uint32(len(interpreter)), Align: 1})
		}
		write(elf.Prog32{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base,
			Filesz: uint32(size), Memsz: uint32(size), Align: 4096})
	}
	b.WriteString(code)
	b.WriteString(interpreter)
	return b.Bytes()
}
