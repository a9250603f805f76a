package farm

import (
	"fmt"
	"strings"

	"ltskeeper/keys"
)

// authority reads a [[ca]].
func (l *loader) authority(p place) {
	var a keys.Authority
	p.require("hosts", "key")
	p.table(readers{
		"hosts": func(p place) {
			p.texts(func(p place, text string) {
				if !keys.ValidPattern(strings.TrimPrefix(text, "!")) {
					p.mistake(fmt.Sprintf("%q is no pattern of host names", text),
						`write one like "*.example.org"; ! in front excludes`)
					return
				}
				a.Hosts = append(a.Hosts, text)
			})
		},
		"key": func(p place) {
			var line string
			if !p.text(&line) {
				return
			}
			var err error
			if a.Key, a.Comment, err = keys.ParseKeyLine(line); err == nil {
				err = a.Key.Weakness()
			}
			if err != nil {
				p.mistake(err.Error(), "write the CA's public key, as it stands in its .pub file")
			}
		},
	})
	l.farm.Authorities = append(l.farm.Authorities, a)
}
