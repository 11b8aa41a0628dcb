//! One layer of an image: a tar of files owned by root and dated 1970, so that the same content has the same digest.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::Context;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// A layer that is being written to a file. Every file in it belongs to root: what another user must write in a
/// container has to be a volume.
pub(super) struct Layer(Builder<Hashed>);

/// A finished layer.
pub(super) struct Sealed {
    /// 64 hexadecimal digits.
    pub(super) sha256: String,
    pub(super) size: u64,
}

struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
    size: u64,
}

impl Layer {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(Builder::new(Hashed {
            file: BufWriter::new(file),
            hash: Sha256::new(),
            size: 0,
        })))
    }

    pub(super) fn folder(&mut self, path: &str, mode: u32) -> anyhow::Result<()> {
        self.entry(Path::new(path), EntryType::Directory, mode, 0, io::empty())
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
        self.entry(Path::new(path), EntryType::Regular, mode, bytes.len() as u64, bytes)
    }

    pub(super) fn symlink(&mut self, path: &str, target: &str) -> anyhow::Result<()> {
        self.link(Path::new(path), Path::new(target))
    }

    /// Everything below `root` whose path, relative to it, `keep` accepts; what lies in a refused folder is left out
    /// too. Device nodes and sockets are left out: the container runtime makes its own.
    pub(super) fn tree(&mut self, root: &Path, keep: &dyn Fn(&str) -> bool) -> anyhow::Result<()> {
        self.branch(root, Path::new(""), keep)
    }

    pub(super) fn seal(self) -> anyhow::Result<Sealed> {
        let mut hashed = self.0.into_inner()?;
        hashed.flush()?;
        Ok(Sealed {
            sha256: format!("{:x}", hashed.hash.finalize()),
            size: hashed.size,
        })
    }

    fn branch(&mut self, root: &Path, inner: &Path, keep: &dyn Fn(&str) -> bool) -> anyhow::Result<()> {
        let folder = root.join(inner);
        let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        let mut names = entries
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for path in names.into_iter().map(|name| inner.join(name)) {
            if keep(&path.to_string_lossy()) {
                self.leaf(root, &path, keep)
                    .with_context(|| format!("adding {} to a layer", path.display()))?;
            }
        }
        Ok(())
    }

    fn leaf(&mut self, root: &Path, path: &Path, keep: &dyn Fn(&str) -> bool) -> anyhow::Result<()> {
        let full = root.join(path);
        let metadata = fs::symlink_metadata(&full)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_symlink() {
            self.link(path, &fs::read_link(&full)?)
        } else if metadata.is_dir() {
            self.entry(path, EntryType::Directory, mode, 0, io::empty())?;
            self.branch(root, path, keep)
        } else if metadata.is_file() {
            self.entry(path, EntryType::Regular, mode, metadata.len(), File::open(&full)?)
        } else {
            Ok(())
        }
    }

    fn entry(&mut self, path: &Path, kind: EntryType, mode: u32, size: u64, content: impl Read) -> anyhow::Result<()> {
        let mut header = header(kind, mode);
        header.set_size(size);
        Ok(self.0.append_data(&mut header, path, content)?)
    }

    fn link(&mut self, path: &Path, target: &Path) -> anyhow::Result<()> {
        Ok(self
            .0
            .append_link(&mut header(EntryType::Symlink, 0o777), path, target)?)
    }
}

/// The header of an entry of root's, dated 1970.
pub(super) fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
