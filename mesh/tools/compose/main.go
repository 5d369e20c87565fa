// Compose reads compose files as `docker compose` does, and says what is wrong with them: what does not parse, what its schema does not
// know, variables without a value, mounts of files that are not there, services that wait for what is never healthy.
//
// It prints the merged project as JSON, for tests that compare it with the services' tables.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

func main() {
	folder := flag.String("folder", ".", "project folder")
	environment := flag.String("env", "", "variables, separated by commas: NAME=value")
	documents := flag.Bool("documents", false, "print the YAML documents of a file as JSON, and nothing else")
	flag.Parse()
	if *documents {
		if err := convert(flag.Arg(0)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := run(*folder, *environment, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder, environment string, files []string) error {
	options, err := cli.NewProjectOptions(
		files,
		cli.WithWorkingDirectory(folder),
		cli.WithEnv(strings.FieldsFunc(environment, func(r rune) bool { return r == ',' })),
		cli.WithInterpolation(true),
		cli.WithResolvedPaths(true),
	)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	if found := findings(project); len(found) > 0 {
		return fmt.Errorf("%s", strings.Join(found, "\n"))
	}
	text, err := json.Marshal(project)
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(text))
	return err
}

// convert prints the YAML documents of a file as one JSON array.
func convert(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	all := []any{}
	for {
		var document any
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if document != nil {
			all = append(all, document)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

// findings are what the parser itself does not look at.
func findings(project *types.Project) []string {
	var found []string
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if _, err := os.Stat(volume.Source); volume.Type == "bind" && err != nil {
				found = append(found, fmt.Sprintf("%s mounts %s, which is not there", name, volume.Source))
			}
		}
		if service.Build != nil {
			if _, err := os.Stat(service.Build.Context + "/" + service.Build.Dockerfile); err != nil {
				found = append(found, fmt.Sprintf("%s is built from %s, which is not there", name, service.Build.Dockerfile))
			}
		}
		for other, how := range service.DependsOn {
			check := project.Services[other].HealthCheck
			if how.Condition == types.ServiceConditionHealthy && (check == nil || check.Disable) {
				found = append(found, fmt.Sprintf("%s waits for the health of %s, which has no check", name, other))
			}
		}
		if service.MemLimit == 0 {
			found = append(found, fmt.Sprintf("%s has no memory limit", name))
		}
		if service.Image == "" || strings.HasSuffix(service.Image, ":latest") || !strings.Contains(service.Image, ":") {
			found = append(found, fmt.Sprintf("%s has no version of its image", name))
		}
	}
	return found
}
