# Completion of ltskeeper's command line for bash, with or without the package bash-completion.
# shellcheck shell=bash

# _ltskeeper_words puts the words up to the cursor into $words. Bash parts them at characters like : and =, which are in
# fingerprints and in --config=FILE: what no blank parts is put together again. Nothing is expanded; quotes and backslashes go.
_ltskeeper_words() {
	local line=${COMP_LINE:0:COMP_POINT} word i
	line=${line#"${line%%[![:blank:]]*}"}
	words=('')
	for ((i = 0; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $line == [[:blank:]]* ]]; then
			line=${line#"${line%%[![:blank:]]*}"}
			words+=('')
		fi
		[[ $line == "$word"* ]] || word=$line # the cursor is in it
		line=${line:${#word}}
		word=${word//[\\\"\']/}
		words[-1]+=$word
		here=$word
	done
	[[ $here != [:=] ]] || here=
}

_ltskeeper() {
	local words here line word
	_ltskeeper_words
	COMPREPLY=()
	while IFS= read -r line; do
		word=${line%%$'\t'*}
		if [[ -z $word ]]; then
			compopt -o default # bash finds files by itself
		elif [[ $word == "${words[-1]}"* ]]; then
			# What stands before the last : or = of the word is there already.
			COMPREPLY+=("${word:${#words[-1]}-${#here}}")
		fi
	done < <(ltskeeper complete -- "${words[@]:1}" 2>/dev/null)
}

complete -F _ltskeeper ltskeeper
