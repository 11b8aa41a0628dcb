//! The programs that come from the operating system, and how to get the missing ones.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::dirs;
use crate::text::last_lines;

/// Where programs are looked for beside `PATH`, which for an ordinary user often lacks the sbin folders.
pub const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const CNI: &str = "the CNI plugins bridge, host-local, loopback and portmap";
/// Debian's folder first, then those of other distributions.
const CNI_FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// What one wants to do with the operating system's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Running the real node.
    Node,
    /// Running a control plane with KWOK nodes.
    ControlPlane,
    /// Building container images.
    Images,
    /// Building images of Python programs.
    PythonImages,
    /// Compiling Ollama.
    CompilingOllama,
}

/// A program's name or a file's absolute path that has to be there, and the Debian package it comes in.
type Item = (&'static str, &'static str);

impl Need {
    const ALL: [Self; 5] = [
        Self::Node,
        Self::ControlPlane,
        Self::Images,
        Self::PythonImages,
        Self::CompilingOllama,
    ];

    fn items(self) -> &'static [Item] {
        match self {
            Need::Node => &[
                ("containerd", "containerd"),
                ("ctr", "containerd"),
                ("runc", "runc"),
                (CNI, "containernetworking-plugins"),
                ("nft", "nftables"),
                ("iptables", "iptables"), // CNI's portmap plugin calls it for hostPort
                ("ip", "iproute2"),
                ("mount", "mount"), // the kubelet calls it for emptyDir in memory
                ("busybox", "busybox-static"),
            ],
            Need::ControlPlane => &[("ip", "iproute2")],
            Need::Images => &[("buildah", "buildah"), ("mmdebstrap", "mmdebstrap")],
            Need::PythonImages => &[("mmdebstrap", "mmdebstrap"), ("pip3", "python3-pip")],
            Need::CompilingOllama => &[
                ("gcc", "gcc"),
                ("g++", "g++"),
                ("/usr/include/nlohmann/json.hpp", "nlohmann-json3-dev"),
                ("/usr/include/stb/stb_image.h", "libstb-dev"),
            ],
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Need::Node => "the Kubernetes node",
            Need::ControlPlane => "the control plane",
            Need::Images => "building container images",
            Need::PythonImages => "building images of Python programs",
            Need::CompilingOllama => "compiling Ollama",
        }
    }
}

/// The path of an operating system's program, on `PATH` or in the usual folders.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path)
        .chain(env::split_paths(SYSTEM_PATH))
        .collect::<Vec<_>>();
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|file| executable(file))
}

fn executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The folder with the CNI plugins that the node uses.
#[must_use]
pub fn cni_folder() -> Option<&'static Path> {
    let complete = |folder: &&Path| {
        ["bridge", "host-local", "loopback", "portmap"]
            .iter()
            .all(|p| executable(&folder.join(p)))
    };
    CNI_FOLDERS.iter().map(Path::new).find(complete)
}

/// Makes sure that everything for `need` is there; as root on Debian the missing packages are installed.
///
/// # Errors
/// A sentence that names what is missing and how to get it.
pub fn require(need: Need) -> Result<()> {
    get(need.purpose(), need.items())
}

/// The path of a program that makes images; as root on Debian its package is installed where it is missing.
///
/// # Errors
/// A sentence that names the program and how to get it.
pub fn obtain(name: &'static str, package: &'static str) -> Result<PathBuf> {
    get("making an image", &[(name, package)])?;
    program(name).with_context(|| format!("{name} is gone since it was looked for"))
}

/// Installs what tests need, where that can be done. Where it cannot, whoever needs something says so.
///
/// # Errors
/// What apt-get says.
pub fn install_for_tests() -> Result<()> {
    if apt().is_some() {
        Need::ALL.into_iter().try_for_each(require)?;
    }
    Ok(())
}

/// The program that installs packages, for who may do that.
fn apt() -> Option<PathBuf> {
    program("apt-get").filter(|_| nix::unistd::geteuid().is_root())
}

fn get(purpose: &str, items: &[Item]) -> Result<()> {
    if lacking(items).is_empty() {
        return Ok(());
    }
    let Some(apt) = apt() else {
        bail!("{}", advice(purpose, items))
    };
    // Others may need something as well, or the same; half of a package is not to be taken for the whole.
    let _turn = turn()?;
    let packages = lacking(items);
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    eprintln!("installing Debian packages for {purpose}: {list}");
    let _no_services = NoServices::begin()?;
    if install(&apt, &packages).is_err() {
        // Fresh container images come without package lists.
        apt_get(&apt, &["update", "-q"])?;
        install(&apt, &packages)?;
    }
    let still = absent(items);
    ensure!(
        still.is_empty(),
        "the packages {list} are installed, and {} is still not found",
        still.join(", ")
    );
    Ok(())
}

/// Held while packages are installed.
fn turn() -> Result<File> {
    let folder = dirs::cache_home()?;
    let path = folder.join("packages.lock");
    let made = fs::create_dir_all(&folder).and_then(|()| File::create(&path));
    let file = made.with_context(|| format!("cannot write {}", path.display()))?;
    file.lock()?;
    Ok(file)
}

fn advice(purpose: &str, items: &[Item]) -> String {
    format!(
        "for {purpose} this machine lacks {}; on Debian or Ubuntu: sudo apt-get install --no-install-recommends {}",
        absent(items).join(", "),
        lacking(items).join(" ")
    )
}

/// The Debian packages that `need` asks for and this machine lacks.
#[must_use]
pub fn missing(need: Need) -> Vec<&'static str> {
    lacking(need.items())
}

fn lacking(items: &[Item]) -> Vec<&'static str> {
    let mut packages: Vec<_> = items.iter().filter(|i| !present(i)).map(|i| i.1).collect();
    packages.dedup();
    packages
}

fn absent(items: &[Item]) -> Vec<&'static str> {
    items.iter().filter(|i| !present(i)).map(|i| i.0).collect()
}

fn present((what, _): &Item) -> bool {
    match *what {
        CNI => cni_folder().is_some(),
        file if file.starts_with('/') => Path::new(file).exists(),
        name => program(name).is_some(),
    }
}

fn install(apt: &Path, packages: &[&str]) -> Result<()> {
    // --no-remove: a machine with another container runtime must not lose it to Debian's. The lock: a machine may install
    // its updates meanwhile.
    let lock = "--option=DPkg::Lock::Timeout=600";
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends", "--no-remove", lock];
    arguments.extend(packages);
    apt_get(apt, &arguments)
}

fn apt_get(apt: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(apt)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .with_context(|| format!("cannot run {}", apt.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    bail!("apt-get {} failed:\n{}", arguments.join(" "), last_lines(&said, 10))
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// While it lives, installing a package starts no service: the clusters run their own containerd.
struct NoServices {
    made: bool,
}

impl NoServices {
    fn begin() -> Result<Self> {
        let made = !Path::new(POLICY).exists();
        if made {
            fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { made })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.made
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!(
                "cannot remove {POLICY}, which keeps packages from starting services: {error}; remove it by hand"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_without_sbin_on_the_path() {
        assert!(program("sh").is_some());
        assert!(program("no-such-program").is_none());
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let items = [
            ("sh", "dash"),
            ("no-such-program", "its-package"),
            ("none", "its-package"),
        ];
        let said = advice("a test", &items);
        assert!(said.contains("lacks no-such-program, none;"), "{said}");
        assert!(said.ends_with("--no-install-recommends its-package"), "{said}");
    }
}
