package adopt

import (
	"bytes"
	_ "embed"
	"slices"
	"strings"
	"text/template"

	"ltskeeper/farm"
	"ltskeeper/internal/excludes"
)

//go:embed ltskeeper.toml.tmpl
var templateText string

var declarationTemplate = template.Must(template.New("ltskeeper.toml").Funcs(template.FuncMap{
	"quote": farm.QuoteTOML, "join": strings.Join, "excludes": Found.listExcludes,
}).Parse(templateText))

// listExcludes returns the patterns of a chroot. If some of the usual ones are not to be left out,
// the others are in the list.
func (found Found) listExcludes() []string {
	if len(found.Include) == 0 {
		return found.Exclude
	}
	usual := slices.DeleteFunc(excludes.Defaults(), func(p string) bool { return slices.Contains(found.Include, p) })
	return append(usual, found.Exclude...)
}

// formatDeclaration returns an ltskeeper.toml for what was found, with every other setting as a
// comment that shows its default or an example.
func formatDeclaration(found Found) ([]byte, error) {
	var b bytes.Buffer
	err := declarationTemplate.Execute(&b, found)
	return b.Bytes(), err
}
