//go:build header

// Package main only names malgo, so that go.sum pins it: it carries miniaudio.h, a C header that Ollama's
// module leaves out (module archives never contain directories called vendor).
package main

import _ "github.com/gen2brain/malgo"
