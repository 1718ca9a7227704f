//! How the child takes every right from itself before it reads a byte.
//!
//! Four walls, each of which would do alone against most of what a faulty reader could be made to do:
//!
//! 1. Resource limits: memory, time, no file written, no process, no core.
//! 2. `no_new_privs`: nothing that it might start gets more rights.
//! 3. Landlock with no right at all: no file, no port, no signal to others. The kernel has it since 5.13; where it is
//!    not offered, this is said and the other walls stand, because the next one lets no file be opened either.
//! 4. A seccomp filter that lets through reading and writing what is open, memory, time, and ending.
//!
//! The filter answers a forbidden call with EPERM instead of killing: what is refused is the same, a library that
//! merely asks (how many cores are there?) goes on, the text so far is kept, and [`attempts`] can try each thing in one
//! process. A child that cannot raise walls 1, 2 and 4 refuses to work. On platforms other than Linux on `x86_64` and
//! aarch64 there is no filter to raise: the limits stand, and the child says that there is no more.

use serde::{Deserialize, Serialize};

/// Bytes of address space.
pub(super) const MEMORY_BYTES: u64 = 1 << 30;
/// Seconds of processor time, after which the kernel ends it.
pub(super) const CPU_SECONDS: u64 = 30;
/// Open files. Nothing is opened: this is for what was inherited.
const OPEN_FILES: u64 = 16;

/// What holds a child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Landlock is in force.
    pub has_landlock: bool,
    /// The filter of system calls is in force.
    pub has_filter: bool,
    /// What is not offered here, for people.
    pub missing: Vec<String>,
}

/// One thing that a confined child tried, and whether it was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What was tried.
    pub attempt: String,
    /// It did not succeed.
    pub is_refused: bool,
    /// What the kernel said.
    pub said: String,
}

/// Raises the walls around this process. What it says when it can't is for people.
pub(super) fn confine() -> Result<Confinement, String> {
    limit()?;
    let mut confinement = Confinement { has_landlock: false, has_filter: false, missing: Vec::new() };
    kernel::confine(&mut confinement)?;
    Ok(confinement)
}

fn limit() -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limits = [
        (Resource::As, MEMORY_BYTES, MEMORY_BYTES, "memory"),
        // The soft limit ends it with a signal of its own, which the parent tells from others.
        (Resource::Cpu, CPU_SECONDS, CPU_SECONDS + 1, "processor time"),
        (Resource::Fsize, 0, 0, "file size"),
        (Resource::Nofile, OPEN_FILES, OPEN_FILES, "open files"),
        (Resource::Nproc, 0, 0, "processes"),
        (Resource::Core, 0, 0, "core dumps"),
    ];
    for (resource, soft, hard, name) in limits {
        // A stricter limit that is already there stays.
        let hard = getrlimit(resource).maximum.map_or(hard, |there| there.min(hard));
        setrlimit(resource, Rlimit { current: Some(soft.min(hard)), maximum: Some(hard) })
            .map_err(|error| format!("can't limit {name}: {error}"))?;
    }
    Ok(())
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod kernel {
    use std::collections::BTreeMap;

    use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    use super::Confinement;

    pub(super) fn confine(confinement: &mut Confinement) -> Result<(), String> {
        rustix::thread::set_no_new_privs(true).map_err(|error| format!("can't set no_new_privs: {error}"))?;
        match landlock() {
            Ok(RulesetStatus::NotEnforced) => confinement.missing.push("this kernel has no landlock".to_owned()),
            Ok(RulesetStatus::FullyEnforced) => confinement.has_landlock = true,
            Ok(RulesetStatus::PartiallyEnforced) => {
                confinement.has_landlock = true;
                confinement
                    .missing
                    .push("this kernel's landlock is older: it holds files, and not all else".to_owned());
            }
            Err(error) => return Err(format!("can't set landlock: {error}")),
        }
        filter().map_err(|error| format!("can't filter system calls: {error}"))?;
        confinement.has_filter = true;
        Ok(())
    }

    /// Every right is handled and none is given.
    fn landlock() -> Result<RulesetStatus, landlock::RulesetError> {
        let abi = ABI::V6;
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            .restrict_self()?;
        Ok(status.ruleset)
    }

    fn filter() -> Result<(), seccompiler::Error> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        let forbid_bits = |argument: u8, bits: u64| {
            SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bits), 0)
        };
        // Memory, but none that can be run: no code comes in with a file.
        let runnable = u64::from(libc::PROT_EXEC.unsigned_abs());
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            rules.insert(call, vec![SeccompRule::new(vec![forbid_bits(2, runnable)?])?]);
        }
        // Signals to itself only: that is how a process aborts.
        let own = u64::from(std::process::id());
        for call in [libc::SYS_kill, libc::SYS_tgkill] {
            let is_own = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, own)?;
            rules.insert(call, vec![SeccompRule::new(vec![is_own])?]);
        }
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Errno(libc::EPERM.unsigned_abs()),
            SeccompAction::Allow,
            std::env::consts::ARCH.try_into()?,
        )?;
        let program: BpfProgram = filter.try_into()?;
        seccompiler::apply_filter(&program)
    }

    const ALLOWED: &[i64] = &[
        // What is open: read, written, closed.
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_lseek,
        // Memory.
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        // Time and chance.
        libc::SYS_clock_gettime,
        libc::SYS_gettimeofday,
        libc::SYS_getrandom,
        // Itself.
        libc::SYS_futex,
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_gettid,
        libc::SYS_sched_yield,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod kernel {
    use super::Confinement;

    #[expect(clippy::unnecessary_wraps, reason = "the same signature as where it can fail")]
    pub(super) fn confine(confinement: &mut Confinement) -> Result<(), String> {
        confinement.missing.push("this platform has no filter of system calls".to_owned());
        Ok(())
    }
}

/// Tries what must be refused, in a process that is already confined.
#[expect(clippy::disallowed_methods, reason = "the refusal of the plain call is what is asked for")]
pub(super) fn attempts() -> Vec<Refusal> {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::process::CommandExt as _;
    use std::path::Path;
    use std::process::Command;

    use rustix::process::{Pid, Signal, getppid, kill_process};

    fn said<T>(attempt: &str, outcome: std::io::Result<T>) -> Refusal {
        let (is_refused, said) = match outcome {
            Ok(_) => (false, "it succeeded".to_owned()),
            Err(error) => (true, error.to_string()),
        };
        Refusal { attempt: attempt.to_owned(), is_refused, said }
    }

    // Only what needs no waiting: an address of this machine, which nobody answers at.
    let mut out = vec![
        said("open a file for reading", std::fs::File::open("/etc/passwd")),
        said("list a directory", std::fs::read_dir("/")),
        said("look at a file", std::fs::metadata("/etc/passwd")),
        said("make a file", std::fs::File::create(std::env::temp_dir().join("teamchat-archive-self-test"))),
        said("start a program", Command::new("/bin/true").spawn()),
        said("start a thread", std::thread::Builder::new().spawn(|| ()).map(drop)),
        said("listen on a port", TcpListener::bind("127.0.0.1:0")),
        said("send a datagram", UdpSocket::bind("127.0.0.1:0")),
    ];
    let mut memory: Vec<u8> = Vec::new();
    let reserved = memory.try_reserve_exact(usize::try_from(MEMORY_BYTES).unwrap_or(usize::MAX));
    out.push(said("take all memory that there is", reserved.map_err(std::io::Error::other)));
    // A refused connection is no refusal of the socket: only the kernel's "not permitted" counts.
    let connected = TcpStream::connect("127.0.0.1:9");
    let is_permitted = !matches!(&connected, Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied);
    let mut connecting = said("connect to a port", connected);
    connecting.is_refused = !is_permitted;
    out.push(connecting);
    let parent = getppid().unwrap_or(Pid::INIT);
    // A harmless signal: what counts is whether it may be sent.
    out.push(said("signal another process", kill_process(parent, Signal::CONT).map_err(Into::into)));
    // Comes back only when it was refused.
    out.push(said("replace itself by a program", Err::<(), _>(Command::new("/bin/true").exec())));
    // Whoever can see a way is not blind: the root is there for every process that has rights.
    let sees = Path::new("/").exists();
    out.push(Refusal {
        attempt: "see whether a path exists".to_owned(),
        is_refused: !sees,
        said: if sees { "it is there" } else { "nothing is there" }.to_owned(),
    });
    out
}
