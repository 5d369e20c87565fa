// Documents is the document store of a mesh on one machine: FerretDB, embedded, speaking MongoDB's wire protocol over SQLite or
// Postgres. A production deployment runs MongoDB in its place.
package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address to listen on")
	dir := flag.String("dir", "data", "folder of the SQLite files")
	postgres := flag.String("postgres", os.Getenv("DOCUMENTS_POSTGRES_URL"), "Postgres URL; keeps documents there instead of in SQLite")
	flag.Parse()

	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err := run(*listen, *dir, *postgres); err != nil {
		slog.Error("documents stopped", "error", err)
		os.Exit(1)
	}
}

// run serves until the process is told to stop.
func run(listen, dir, postgres string) error {
	config := &ferretdb.Config{
		Listener:      ferretdb.ListenerConfig{TCP: listen},
		Handler:       "postgresql",
		PostgreSQLURL: postgres,
	}
	if postgres == "" {
		path, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		config.Handler, config.SQLiteURL = "sqlite", "file:"+path+"/"
	}
	store, err := ferretdb.New(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return store.Run(ctx)
}
