// Package main is CoreDNS with the plugins that a test cluster needs.
package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
)

func init() {
	// The order decides which plugin answers first: template last, so that every name nobody knows is NXDOMAIN.
	dnsserver.Directives = []string{"bind", "ready", "errors", "cache", "hosts", "kubernetes", "template"}
}

func main() { coremain.Run() }
