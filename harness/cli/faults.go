package cli

import (
	"context"
	"flag"
	"fmt"

	"attndiff/ours/faults"
)

func faultsCommand(a *App, fs *flag.FlagSet) func(context.Context, []string) (int, error) {
	asJSON := fs.Bool("json", false, "print JSON")
	return func(context.Context, []string) (int, error) {
		all := faults.Catalogue()
		if *asJSON {
			return Parity, printJSON(a.Stdout, all)
		}
		class := faults.Class("")
		for _, f := range all {
			if f.Class != class {
				class = f.Class
				fmt.Fprintf(a.Stdout, "%s\n", class)
			}
			fmt.Fprintf(a.Stdout, "  %-24s %-12s %s\n  %37s %s\n", f.Name, f.Tap, f.What, "", f.Why)
		}
		return Parity, nil
	}
}
