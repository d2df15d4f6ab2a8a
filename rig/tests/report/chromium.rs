//! Headless Chromium, driven over the DevTools protocol on its pipe: a JSON message and a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser that does not answer within this time has hung.
const ANSWER_MAX: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub struct Chromium {
    browser: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    /// What the page complained of: console errors, exceptions, failed requests.
    pub complaints: Vec<String>,
    loaded: bool,
    _profile: TempDir,
}

impl Chromium {
    /// A browser with one empty page; none where there is no Chromium.
    pub fn start() -> Option<Chromium> {
        let profile = TempDir::new().expect("a temporary folder");
        let path = std::env::var_os("PATH")?;
        let program = std::env::split_paths(&path)
            .flat_map(|folder| NAMES.map(|name| folder.join(name)))
            .find(|program| program.is_file())?;
        // The protocol is spoken on file descriptors 3 and 4.
        let mut browser = Command::new("sh")
            .args([
                "-c",
                r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#,
                "sh",
            ])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let to = browser.stdin.take().expect("it is piped");
        let answers = browser.stdout.take().expect("it is piped");
        let (told, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("messages are JSON");
                if told.send(message).is_err() {
                    return;
                }
            }
        });
        let mut chromium = Chromium {
            browser,
            to,
            from,
            session: None,
            asked: 0,
            complaints: Vec::new(),
            loaded: false,
            _profile: profile,
        };
        let target = chromium.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = chromium.call(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        chromium.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            chromium.call(&format!("{domain}.enable"), json!({}));
        }
        Some(chromium)
    }

    /// Carries out a command of the protocol.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("Chromium listens");
        loop {
            let mut answer = self.next();
            if answer["id"] == self.asked {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    fn next(&mut self) -> Value {
        let message = self
            .from
            .recv_timeout(ANSWER_MAX)
            .expect("Chromium answers");
        let parameters = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Page.loadEventFired" => self.loaded = true,
            "Runtime.exceptionThrown" | "Network.loadingFailed" => {
                self.complaints.push(parameters.to_string());
            }
            "Log.entryAdded" => self.complaints.push(parameters["entry"].to_string()),
            "Runtime.consoleAPICalled" => self.complaints.push(parameters["args"].to_string()),
            _ => {}
        }
        message
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path) {
        // Names of runs hold no character that an address needs escaped but these.
        let path = file
            .display()
            .to_string()
            .replace('%', "%25")
            .replace('#', "%23");
        self.loaded = false;
        let opened = self.call("Page.navigate", json!({ "url": format!("file://{path}") }));
        assert!(opened["errorText"].is_null(), "{path}: {opened}");
        while !self.loaded {
            self.next();
        }
    }

    /// The value of an expression in the page, awaited if it is a promise.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let mut value = self.call(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        assert!(value["exceptionDetails"].is_null(), "{expression}: {value}");
        value["result"]["value"].take()
    }

    /// The window in CSS pixels, and how many of the screen's make one of those.
    pub fn resize(&mut self, width: u32, height: u32, scale: u32) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false }),
        );
    }

    /// What the page takes for the system's wish: `light` or `dark`.
    pub fn prefer(&mut self, scheme: &str) {
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
    }

    /// Presses and releases a key.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code }),
            );
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It is a process of our own, and it may have hung.
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
