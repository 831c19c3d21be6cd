package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// The line in an error of the YAML parser, which has no type for it.
var yamlLine = regexp.MustCompile(`^line (\d+): `)

// parseYAML reads the config mapping of a YAML file. Errors carry FILE:LINE.
func parseYAML(file string, data []byte) (vars []variable, errs []error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		return nil, []error{errors.New(file + ":" + yamlLine.ReplaceAllString(text, "$1: "))}
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, []error{fmt.Errorf("%s:%d: expected a mapping with the key config", file, top.Line)}
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value != "config" {
			continue
		}
		config := top.Content[i+1]
		if config.Kind != yaml.MappingNode {
			return nil, append(errs, fmt.Errorf("%s:%d: config must be a mapping", file, config.Line))
		}
		for j := 0; j+1 < len(config.Content); j += 2 {
			key, value := config.Content[j], config.Content[j+1]
			v, err := yamlVariable(key, value)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %w", file, key.Line, err))
				continue
			}
			vars = append(vars, v)
		}
	}
	return vars, errs
}

func yamlVariable(key, value *yaml.Node) (variable, error) {
	v := variable{name: strings.ToLower(key.Value), line: key.Line}
	switch value.Kind {
	case yaml.ScalarNode:
		if value.Tag != "!!null" {
			v.text = value.Value
		}
	case yaml.SequenceNode:
		v.list = []string{}
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return v, fmt.Errorf("%s: expected a list of texts", key.Value)
			}
			v.list = append(v.list, item.Value)
		}
	default:
		return v, fmt.Errorf("%s: expected a value or a list", key.Value)
	}
	return v, nil
}
