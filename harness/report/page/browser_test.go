package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/html"

	"attndiff/traces/tap"
)

// browser is a headless Chromium; tests that need it are skipped where it is
// not installed (Debian's package is chromium).
type browser struct {
	path string
	dir  string
}

func newBrowser(t *testing.T) browser {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return browser{path, t.TempDir()}
		}
	}
	t.Skip("no Chromium on this machine; apt-get install chromium")
	return browser{}
}

// open loads a page with some flags and returns what the browser prints and
// what its console says.
func (b browser) open(t *testing.T, file string, flags ...string) (printed string, console []string) {
	t.Helper()
	profile, err := os.MkdirTemp(b.dir, "profile-")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir=" + profile, "--enable-logging=stderr", "--v=0"}, flags...)
	cmd := exec.CommandContext(ctx, b.path, append(args, "file://"+file)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it starts many processes
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	}
	if err != nil {
		t.Fatalf("chromium: %v: %s", err, said.String())
	}
	for line := range strings.Lines(said.String()) {
		if strings.Contains(line, "CONSOLE") {
			console = append(console, strings.TrimSpace(line))
		}
	}
	return out.String(), console
}

// pageFile renders a run into a file.
func pageFile(t *testing.T, in Input) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := Write(path, in); err != nil {
		t.Fatal(err)
	}
	return path
}

// A browser renders every kind of run without an error, and what a prompt
// holds runs nothing.
func TestBrowser(t *testing.T) {
	b := newBrowser(t)
	for _, name := range []string{"one wrong op", "clean", "NaN", "engine failed", "hostile"} {
		t.Run(name, func(t *testing.T) {
			dom, console := b.open(t, pageFile(t, runs()[name](t)), "--dump-dom")
			if len(console) > 0 {
				t.Errorf("the console says %q", console)
			}
			root, err := html.Parse(strings.NewReader(dom))
			if err != nil {
				t.Fatal(err)
			}
			if element(root, "h1") == nil {
				t.Fatalf("there is no verdict: %.300q", dom)
			}
			if tools := element(root, "button") != nil; tools != (name != "engine failed") {
				t.Errorf("the script made its tools: %v", tools)
			}
			if n := strings.Count(dom, "<script"); n != 2 {
				t.Errorf("the page has %d scripts", n)
			}
		})
	}
}

// Where no script may run the page is drawn all the same.
func TestWithoutScript(t *testing.T) {
	b := newBrowser(t)
	file := pageFile(t, runs()["one wrong op"](t))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(t.TempDir(), "bare.html")
	at := bytes.LastIndex(text, []byte("<script>"))
	if err := os.WriteFile(bare, text[:at], 0o644); err != nil {
		t.Fatal(err)
	}
	with, without := b.shoot(t, file, 1280), b.shoot(t, bare, 1280)
	if n := colours(without); n < colours(with)*9/10 {
		t.Errorf("%d colours without the script, %d with it", n, colours(with))
	}
	if a, b := brightness(with), brightness(without); a-b > 8 || b-a > 8 {
		t.Errorf("brightness is %d with the script and %d without", a, b)
	}
}

// What the script adds works: values under the pointer are read back from the
// pictures, one step of the map instead of all, ops by status, links into what
// is folded away. All of it on a narrow screen, from which nothing sticks out.
func TestScript(t *testing.T) {
	b := newBrowser(t)
	text := rendered(t, made{damage: changed(tap.QRope, 17, 9), decode: bytesOf}.input(t))
	const use = `<script>addEventListener('load', () => {
  const said = {}, $ = s => document.querySelector(s);
  $('#op-q_rope').closest('details').open = true;
  const img = [...document.querySelectorAll('#op-q_rope img')].find(i => i.alt.includes('token by channel') && i.dataset.side === 'ours');
  const box = img.getBoundingClientRect();
  const at = (col, row) => new PointerEvent('pointermove', {bubbles: true,
    clientX: box.left + (col + .5) * box.width / img.naturalWidth, clientY: box.top + (row + .5) * box.height / img.naturalHeight});
  img.dispatchEvent(at(17, 0));
  said.tip = $('#tip').textContent;
  const select = $('#map-tools select');
  select.value = '1';
  select.dispatchEvent(new Event('change'));
  said.map = [...$('table.layers').rows].find(r => r.cells[0].textContent === 'q_rope').cells[1].title;
  const chart = $('.chart svg'), plot = chart.getBoundingClientRect();
  chart.dispatchEvent(new PointerEvent('pointermove', {clientX: plot.left + plot.width * 60 / 960, clientY: plot.top + 50}));
  said.chart = $('#tip').textContent;
  [...document.querySelectorAll('#op-tools button')].find(b => b.textContent.startsWith('introduced')).click();
  said.hidden = document.querySelectorAll('details.op[hidden]').length;
  location.hash = '#op-l_out';
  setTimeout(() => {
    const d = $('#op-l_out').closest('details');
    said.link = d.open && !d.hidden;
    for (const all of document.querySelectorAll('details')) all.open = true;
    said.over = document.documentElement.scrollWidth - innerWidth;
    document.title = JSON.stringify(said);
  }, 200);
});</script>`
	file := filepath.Join(t.TempDir(), "used.html")
	text = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`).ReplaceAllString(text, "")
	if err := os.WriteFile(file, []byte(strings.Replace(text, "</body>", use+"</body>", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	dom, console := b.open(t, file, "--dump-dom", "--virtual-time-budget=5000", "--window-size=400,900")
	if len(console) > 0 {
		t.Errorf("the console says %q", console)
	}
	root, err := html.Parse(strings.NewReader(dom))
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Tip, Map, Chart string
		Hidden, Over    int
		Link            bool
	}
	if err := json.Unmarshal([]byte(words(element(root, "title"))), &said); err != nil {
		t.Fatalf("%v: %s", err, words(element(root, "title")))
	}
	for _, want := range []string{"token 0", "(step 0)", "head 2, dim 1", "ours ≥ 9.00", "reference ≈ ", "difference ≈ "} {
		if !strings.Contains(said.Tip, want) {
			t.Errorf("under the pointer is %q, without %q", said.Tip, want)
		}
	}
	if !strings.HasPrefix(said.Map, "q_rope, layer 0, step 1: introduced, drift ") {
		t.Errorf("in the map of step 1 is %q", said.Map)
	}
	if !strings.HasPrefix(said.Chart, "inp_embd") || !strings.Contains(said.Chart, "drift ") {
		t.Errorf("under the pointer in the chart is %q", said.Chart)
	}
	if said.Over > 0 {
		t.Errorf("on a narrow screen the page is %d pixels wider than that", said.Over)
	}
	if said.Hidden == 0 || said.Hidden >= int(tap.Count) || !said.Link {
		t.Errorf("%d ops are hidden; a link opens its op: %v", said.Hidden, said.Link)
	}
}

// shoot takes a picture of the page, so many pixels wide.
func (b browser) shoot(t *testing.T, file string, width int, flags ...string) image.Image {
	t.Helper()
	shot := filepath.Join(t.TempDir(), "shot.png")
	_, console := b.open(t, file, append(flags, "--screenshot="+shot, fmt.Sprintf("--window-size=%d,1600", width))...)
	if len(console) > 0 {
		t.Errorf("the console says %q", console)
	}
	f, err := os.Open(shot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// On a wide screen and on a narrow one, light and dark, something is drawn
// that is as light or dark as it should be.
func TestScreens(t *testing.T) {
	b := newBrowser(t)
	file := pageFile(t, runs()["one wrong op"](t))
	for _, width := range []int{1280, 400} {
		light := b.shoot(t, file, width, "--blink-settings=preferredColorScheme=1")
		dark := b.shoot(t, file, width, "--blink-settings=preferredColorScheme=0")
		if colours(light) < 50 || colours(dark) < 50 {
			t.Errorf("%d wide: %d and %d colours: nothing is drawn", width, colours(light), colours(dark))
		}
		if l, d := brightness(light), brightness(dark); l < 180 || d > 80 {
			t.Errorf("%d wide: a light page is at %d of 255, a dark one at %d", width, l, d)
		}
	}
}

func colours(img image.Image) int {
	seen := map[[3]uint32]bool{}
	box := img.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y += 3 {
		for x := box.Min.X; x < box.Max.X; x += 3 {
			r, g, b, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r >> 8, g >> 8, b >> 8}] = true
		}
	}
	return len(seen)
}

// brightness is the mean of the green channel, 0 to 255.
func brightness(img image.Image) int {
	box := img.Bounds()
	sum, n := 0, 0
	for y := box.Min.Y; y < box.Max.Y; y += 5 {
		for x := box.Min.X; x < box.Max.X; x += 5 {
			_, g, _, _ := img.At(x, y).RGBA()
			sum, n = sum+int(g>>8), n+1
		}
	}
	return sum / n
}
