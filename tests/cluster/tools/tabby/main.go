// Package main stands in for Tabby: its image holds gigabytes of CUDA and is on a registry that tests do not reach. It serves
// no completions. What it does is what an operator can get wrong, as strictly as Tabby 0.32: its arguments, the folder it
// owns, its configuration, the models that must be there when it starts, its secret, and what a probe may ask.
package main

import (
	"crypto/sha1"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// uuid is what signs the log-ins: Tabby exits when it gets anything else.
var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func main() {
	address := arguments()
	root := os.Getenv("TABBY_ROOT")
	if root == "" {
		root = filepath.Join(os.Getenv("HOME"), ".tabby")
	}
	// Fails on a folder that somebody else owns, such as the root of a volume.
	if err := os.Chmod(root, 0o700); err != nil {
		panicked("Failed to set permissions of %s: %v", root, err)
	}
	config, err := readConfig(filepath.Join(root, "config.toml"))
	if err != nil {
		panicked("%v", err)
	}
	checkModels(config)
	if secret, set := os.LookupEnv("TABBY_WEBSERVER_JWT_TOKEN_SECRET"); set && !uuid.MatchString(secret) {
		fmt.Fprintln(os.Stderr, "TABBY_WEBSERVER_JWT_TOKEN_SECRET is not a UUID")
		os.Exit(1)
	}
	if err := os.MkdirAll(filepath.Join(root, "ee"), 0o700); err != nil {
		panicked("%v", err)
	}
	// Where the accounts are: what a test finds here tells one data folder from another.
	database, err := os.OpenFile(filepath.Join(root, "ee", "db.sqlite"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panicked("%v", err)
	}
	fmt.Fprintln(database, "started")
	serve(address)
}

// arguments reads the command line of `tabby serve`; anything else ends the process as clap does.
func arguments() string {
	if len(os.Args) < 2 || os.Args[1] != "serve" {
		fmt.Fprintln(os.Stderr, "error: unrecognized subcommand; the stand-in knows `serve`")
		os.Exit(2)
	}
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	host := flags.String("host", "0.0.0.0", "")
	port := flags.Int("port", 8080, "")
	device := flags.String("device", "cpu", "")
	flags.String("model", "", "")
	chatModel := flags.String("chat-model", "", "")
	chatDevice := flags.String("chat-device", "", "")
	flags.Int("parallelism", 1, "")
	flags.Bool("no-webserver", false, "")
	if err := flags.Parse(os.Args[2:]); err != nil || flags.NArg() > 0 {
		os.Exit(2)
	}
	if !strings.Contains(" cpu cuda rocm metal vulkan ", " "+*device+" ") {
		fmt.Fprintf(os.Stderr, "error: invalid value '%s' for '--device <DEVICE>'\n", *device)
		os.Exit(2)
	}
	if *chatDevice != "" && *chatModel == "" {
		fmt.Fprintln(os.Stderr, "error: --chat-device requires --chat-model")
		os.Exit(2)
	}
	return fmt.Sprintf("%s:%d", *host, *port)
}

// serve answers as Tabby's routes do with the web server on: metrics for everyone, the API for those with a token.
func serve(address string) {
	go func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		<-signals
		os.Exit(0)
	}()
	routes := http.NewServeMux()
	routes.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "# HELP http_requests_total requests\n# TYPE http_requests_total counter\nhttp_requests_total 1\n")
	})
	for _, prefix := range []string{"/v1/", "/v1beta/"} {
		routes.HandleFunc(prefix, func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.WriteHeader(http.StatusNotImplemented)
		})
	}
	for _, path := range []string{"/subscriptions", "/hub"} {
		routes.HandleFunc("GET "+path, socket)
	}
	fmt.Println("Listening at", address)
	panicked("%v", http.ListenAndServe(address, routes))
}

// socket opens a WebSocket, as Tabby's subscriptions and its hub do, and sends back what comes.
func socket(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	connection, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer connection.Close()
	// The constant is that of RFC 6455.
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	stream.Flush()
	io.Copy(connection, stream)
}

// panicked ends the process as a Rust panic does.
func panicked(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "thread 'main' panicked:\n"+format+"\n", values...)
	os.Exit(101)
}
