// Package spelling finds out what a mistyped word was meant to be.
package spelling

import "strings"

// FindNearest returns the candidate that word was most likely meant to be: the one from which the
// fewest slips of the keyboard lead to it, without regard to case. If every one is too far away for
// a slip, it returns "".
func FindNearest(word string, candidates []string) string {
	best, nearest := "", -1
	for _, c := range candidates {
		d := countSlips(strings.ToLower(word), strings.ToLower(c))
		if d <= max(1, (max(len(word), len(c))+1)/3) && (nearest < 0 || d < nearest) {
			best, nearest = c, d
		}
	}
	return best
}

// countSlips counts the letters to insert, delete, replace or swap with their neighbour that make b
// out of a (the optimal string alignment distance).
func countSlips(a, b string) int {
	var older []int
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			differ := 1
			if a[i-1] == b[j-1] {
				differ = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+differ)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, above = above, row
	}
	return above[len(b)]
}
