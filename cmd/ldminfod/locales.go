package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"ltskeeper/internal/regular"
)

// languages returns the installed locales with UTF-8, as LDM writes them: en_US.UTF-8. The server's
// own comes first, the others are sorted.
func (s *server) languages() []string {
	const dir = "usr/lib/locale"
	var names []string
	entries, _ := fs.ReadDir(s.files, dir)
	for _, e := range entries {
		if _, err := fs.Stat(s.files, dir+"/"+e.Name()+"/LC_IDENTIFICATION"); err == nil {
			names = append(names, e.Name())
		}
	}
	if f, err := regular.OpenFS(s.files, dir+"/locale-archive"); err == nil {
		if archive, ok := f.(io.ReaderAt); ok {
			archived, _ := readLocaleArchive(archive) // a broken one has none
			names = append(names, archived...)
		}
		f.Close()
	}
	var languages []string
	for _, name := range names {
		if language, ok := formatLocale(name); ok {
			languages = append(languages, language)
		}
	}
	slices.Sort(languages)
	languages = slices.Compact(languages)

	own, _ := formatLocale(cmp.Or(s.assignments("etc/default/locale")["LANG"],
		s.assignments("etc/locale.conf")["LANG"]))
	if i := slices.Index(languages, own); i > 0 {
		languages = slices.Insert(slices.Delete(languages, i, i+1), 0, own)
	}
	return languages
}

// formatLocale turns glibc's name of a locale, like ca_ES.utf8@valencia, into the one that users
// know. It is ok for languages of a country in UTF-8, not for C and POSIX.
func formatLocale(name string) (language string, ok bool) {
	base, modifier, modified := strings.Cut(name, "@")
	place, charset, _ := strings.Cut(base, ".")
	charset = strings.ToLower(strings.ReplaceAll(charset, "-", ""))
	if charset != "utf8" || !strings.Contains(place, "_") || strings.ContainsAny(name, ": /") {
		return "", false
	}
	language = place + ".UTF-8"
	if modified {
		language += "@" + modifier
	}
	return language, true
}

// readLocaleArchive reads the names in glibc's locale-archive: a header, and in the server's own
// byte order a hash table whose entries point to names and locales (locale/locarchive.h in glibc).
func readLocaleArchive(archive io.ReaderAt) ([]string, error) {
	var head struct {
		Magic, Serial                           uint32
		NamesOffset, NamesUsed, NamesSize       uint32
		StringsOffset, StringsUsed, StringsSize uint32
	}
	var entry struct{ Hash, Name, Locale uint32 }
	at := func(offset, size uint32) ([]byte, error) {
		const limit = 4 << 20 // that of all locales there are is 100 kB
		if size > limit {
			return nil, fmt.Errorf("read locale-archive: a table of %d bytes", size)
		}
		b := make([]byte, size)
		_, err := archive.ReadAt(b, int64(offset))
		return b, err
	}
	b, err := at(0, uint32(binary.Size(head)))
	if err != nil {
		return nil, err
	}
	binary.Decode(b, binary.NativeEndian, &head)
	if head.Magic != 0xde020109 {
		return nil, fmt.Errorf("read locale-archive: its magic number is %#x", head.Magic)
	}
	entrySize := binary.Size(entry)
	table, err := at(head.NamesOffset, min(head.NamesSize, 1<<20)*uint32(entrySize))
	if err != nil {
		return nil, err
	}
	text, err := at(head.StringsOffset, head.StringsSize)
	if err != nil {
		return nil, err
	}
	var names []string
	for ; len(table) > 0; table = table[entrySize:] {
		binary.Decode(table, binary.NativeEndian, &entry)
		start := int64(entry.Name) - int64(head.StringsOffset)
		if entry.Locale == 0 || start < 0 || start >= int64(len(text)) {
			continue // an empty place, or a broken one
		}
		name, _, _ := bytes.Cut(text[start:], []byte{0})
		names = append(names, string(name))
	}
	return names, nil
}
