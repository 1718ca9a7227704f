//! A disk that is full after so many bytes.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::harness::{Outcome, Place, Started};

/// A small disk of our own, which vanishes with the process that holds it.
pub(crate) struct SmallDisk {
    holder: Child,
    pub(crate) root: String,
}

impl SmallDisk {
    /// `None` where this machine does not let us.
    pub(crate) fn new(root: &Path, size: &str) -> Option<Self> {
        fs_err::create_dir_all(root).unwrap();
        let root = root.to_str().unwrap().to_owned();
        let script = format!("mount -t tmpfs -o size={size} none {root} && echo ready && exec cat");
        let mut holder = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(holder.stdout.take().unwrap());
        drop(std::io::BufRead::read_line(&mut stdout, &mut line));
        let mut disk = Self { holder, root };
        let can_enter = line == "ready\n" && disk.inside("true", &[]).status().is_ok_and(|status| status.success());
        if !can_enter {
            drop(disk.holder.kill());
        }
        can_enter.then_some(disk)
    }

    pub(crate) fn inside(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-m", "--", program]).args(args);
        command
    }

    pub(crate) fn grow(&self, size: &str) {
        let option = format!("remount,size={size}");
        assert!(self.inside("mount", &["-o", &option, &self.root]).status().unwrap().success());
    }

    /// Runs the binary with this disk in its view.
    pub(crate) fn run(&self, place: &Place, args: &[&str]) -> Outcome {
        let program = env!("CARGO_BIN_EXE_teamchat-archive");
        let mut all = vec!["-t".to_owned(), self.holder.id().to_string(), "-m".to_owned(), "--".to_owned()];
        all.push(program.to_owned());
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        let usual = place.command(args);
        let mut command = Command::new("nsenter");
        command.args(&all).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, value) in usual.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        Started::new(command).finish()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
