// Package pktline reads and writes the lines that git's protocol is made of:
// each with its length before it, and marks between them.
//
// It must not know what any line means.
package pktline

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Kind tells a line from the marks between lines.
type Kind int

// What Read can find.
const (
	Data  Kind = iota
	Flush      // 0000: end of a section
	Delim      // 0001: between parts of a section
	End        // 0002: end of a response
)

// ErrFormat says that what was read is not in git's protocol.
var ErrFormat = errors.New("the answer is not in git's protocol")

// Read reads one line as it is, or one mark. The error is io.EOF when there is
// no more, ErrFormat, one that is io.ErrUnexpectedEOF, or that of the reader.
func Read(r *bufio.Reader) ([]byte, Kind, error) {
	var head [4]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) && strings.Trim(string(head[:n]), "0123456789abcdef") != "" {
			err = ErrFormat
		}
		return nil, 0, early(err)
	}
	n, err := strconv.ParseUint(string(head[:]), 16, 16)
	if err != nil || n == 3 {
		return nil, 0, ErrFormat
	}
	if n < 4 {
		return nil, []Kind{Flush, Delim, End}[n], nil
	}
	data := make([]byte, n-4)
	if _, err := io.ReadFull(r, data); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, early(err)
	}
	return data, Data, nil
}

func early(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the answer ends too early: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// Next is ReadText where there must be more: the end is io.ErrUnexpectedEOF.
func Next(r *bufio.Reader) (string, Kind, error) {
	text, kind, err := ReadText(r)
	if errors.Is(err, io.EOF) {
		err = early(io.ErrUnexpectedEOF)
	}
	return text, kind, err
}

// ReadText is Read for a line of text, whose newline at the end it leaves out.
func ReadText(r *bufio.Reader) (string, Kind, error) {
	data, kind, err := Read(r)
	if n := len(data); n > 0 && data[n-1] == '\n' {
		data = data[:n-1]
	}
	return string(data), kind, err
}

// Line makes one line of a text of at most 65,516 bytes.
func Line(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
