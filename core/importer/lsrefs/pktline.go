package lsrefs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// pktKind tells a line from the marks between lines.
type pktKind int

const (
	pktData  pktKind = iota
	pktFlush         // 0000: end of a section
	pktDelim         // 0001: between parts of a section
	pktEnd           // 0002: end of a response
)

var errPkt = errors.New("the answer is not in git's protocol")

// readPkt reads one pkt-line. The text has no newline at its end.
func readPkt(r *bufio.Reader) (string, pktKind, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errPkt
		}
		return "", 0, err
	}
	n, err := strconv.ParseUint(string(head[:]), 16, 16)
	if err != nil || n == 3 {
		return "", 0, errPkt
	}
	if n < 4 {
		return "", []pktKind{pktFlush, pktDelim, pktEnd}[n], nil
	}
	text := make([]byte, n-4)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", 0, fmt.Errorf("the answer ends too early: %w", io.ErrUnexpectedEOF)
	}
	if len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	return string(text), pktData, nil
}

func pkt(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
