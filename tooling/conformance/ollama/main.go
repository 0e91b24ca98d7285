// What Ollama makes of Modelfiles: reads cases as JSON from standard input, and writes what its own packages say to standard
// output. parser reads the Modelfile, api checks its parameters, template gives the prompt of each chat. The SYSTEM line goes in
// front of a chat as server/routes.go does it (ChatHandler), which cannot be called without a model. Beside it: which template
// Ollama would detect for the model's chat template by itself (template.Named), and the prompts of that.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/parser"
	"github.com/ollama/ollama/template"
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type testCase struct {
	Name         string      `json:"name"`
	Modelfile    string      `json:"modelfile"`
	ChatTemplate string      `json:"chatTemplate"`
	Chats        [][]message `json:"chats"`
}

type command struct {
	Name string `json:"name"`
	Args string `json:"args"`
}

type detected struct {
	Name    string   `json:"name"`
	Prompts []string `json:"prompts"`
}

type answer struct {
	Name       string         `json:"name"`
	Commands   []command      `json:"commands"`
	Parameters map[string]any `json:"parameters"`
	Prompts    []string       `json:"prompts"`
	Detected   *detected      `json:"detected"`
}

func prompts(source, system string, chats [][]message) ([]string, error) {
	parsed, err := template.Parse(source)
	if err != nil {
		return nil, err
	}
	texts := []string{}
	for _, chat := range chats {
		messages := []api.Message{}
		if system != "" && chat[0].Role != "system" {
			messages = append(messages, api.Message{Role: "system", Content: system})
		}
		for _, m := range chat {
			messages = append(messages, api.Message{Role: m.Role, Content: m.Content})
		}
		var b bytes.Buffer
		if err := parsed.Execute(&b, template.Values{Messages: messages}); err != nil {
			return nil, err
		}
		texts = append(texts, b.String())
	}
	return texts, nil
}

func answerOf(c testCase) (*answer, error) {
	file, err := parser.ParseFile(strings.NewReader(c.Modelfile))
	if err != nil {
		return nil, err
	}
	result := answer{Name: c.Name, Commands: []command{}, Parameters: map[string]any{}}
	source, system := "", ""
	given := map[string][]string{}
	for _, line := range file.Commands {
		result.Commands = append(result.Commands, command{line.Name, line.Args})
		switch line.Name {
		case "template":
			source = line.Args
		case "system":
			system = line.Args
		case "model", "adapter":
		default:
			given[line.Name] = append(given[line.Name], line.Args)
		}
	}
	if result.Parameters, err = api.FormatParams(given); err != nil {
		return nil, err
	}
	if source != "" {
		if result.Prompts, err = prompts(source, system, c.Chats); err != nil {
			return nil, err
		}
	}
	if named, err := template.Named(c.ChatTemplate); err == nil {
		raw, err := io.ReadAll(named.Reader())
		if err != nil {
			return nil, err
		}
		result.Detected = &detected{Name: named.Name}
		if result.Detected.Prompts, err = prompts(string(raw), "", c.Chats); err != nil {
			return nil, err
		}
	}
	return &result, nil
}

func main() {
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	answers := []*answer{}
	for _, c := range cases {
		a, err := answerOf(c)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", c.Name, err)
			os.Exit(1)
		}
		answers = append(answers, a)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
