// Checks a .tlog-proof with Go's own packages for signed notes and transparent logs, which share no code
// with the archive.
//
//	tlogcheck VKEY-FILE LEAF-HASH < PROOF
//
// LEAF-HASH is the hash of the leaf entry, in hexadecimal digits: the opening in the extra line is the
// archive's own format, of which these packages know nothing. Prints one line and ends with status 0 when
// the proof holds; otherwise says on standard error at which step it does not, and ends with status 1.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(step string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", step, err)
	os.Exit(1)
}

func hash(text string, step string) tlog.Hash {
	hash, err := tlog.ParseHash(text)
	if err != nil {
		fail(step, err)
	}
	return hash
}

func main() {
	if len(os.Args) != 3 {
		fail("usage", fmt.Errorf("tlogcheck VKEY-FILE LEAF-HASH < PROOF"))
	}
	vkey, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail("key", err)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		fail("key", err)
	}
	leafBytes, err := hex.DecodeString(os.Args[2])
	if err != nil {
		fail("leaf", err)
	}
	leaf := hash(base64.StdEncoding.EncodeToString(leafBytes), "leaf")
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail("proof", err)
	}

	head, checkpoint, found := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" || len(lines) < 3 || !strings.HasPrefix(lines[2], "index ") {
		fail("proof", fmt.Errorf("not a tlog-proof with an extra line"))
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		fail("index", err)
	}
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		path = append(path, hash(line, "path"))
	}

	opened, err := note.Open([]byte(checkpoint), note.VerifierList(verifier))
	if err != nil {
		fail("signature", err)
	}
	said := strings.Split(opened.Text, "\n")
	if len(said) < 3 || said[0] != verifier.Name() {
		fail("checkpoint", fmt.Errorf("not a checkpoint of %s", verifier.Name()))
	}
	size, err := strconv.ParseInt(said[1], 10, 64)
	if err != nil {
		fail("size", err)
	}
	root := hash(said[2], "root")
	if err := tlog.CheckRecord(path, size, root, index, leaf); err != nil {
		fail("inclusion", err)
	}
	fmt.Printf("record %d of %d\n", index, size)
}
