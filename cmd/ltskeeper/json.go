package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// notNil makes a list that is empty one in JSON, too, and not null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// encodeJSON returns a document as indented JSON. It is ASCII, so that it can be looked at on a
// terminal: other characters in names and files are escaped as \uXXXX.
func encodeJSON(d any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	var ascii bytes.Buffer
	for _, r := range b.String() {
		if r < utf8.RuneSelf && r != 0x7f {
			ascii.WriteByte(byte(r))
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&ascii, `\u%04x`, unit)
		}
	}
	return ascii.Bytes(), nil
}
