//! The lock that one process holds while it starts or stops a cluster.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result};

use super::State;

/// Held while a cluster is started, stopped or joined. It lies on the folder itself, so nothing is left over.
#[derive(Debug)]
pub struct Lock {
    _dir: File,
}

impl State {
    /// Makes the folder if need be and waits until no other process holds the lock.
    ///
    /// # Errors
    /// When the folder cannot be made, or not there.
    pub fn lock(&self) -> Result<Lock> {
        self.check_location()?;
        let dir = self.dir().display().to_string();
        loop {
            fs::create_dir_all(self.dir()).with_context(|| format!("cannot create {dir}"))?;
            let Ok(file) = File::open(self.dir()) else { continue };
            file.lock().with_context(|| format!("cannot lock {dir}"))?;
            if self.is_still(&file)? {
                return Ok(Lock { _dir: file });
            }
        }
    }

    /// The lock, if the folder is there and nobody holds it.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn try_lock(&self) -> Result<Option<Lock>> {
        let Ok(file) = File::open(self.dir()) else {
            return Ok(None);
        };
        let locked = file.try_lock().is_ok() && self.is_still(&file)?;
        Ok(locked.then_some(Lock { _dir: file }))
    }

    /// Whoever held the lock before may have removed the folder, and another one may stand there by now.
    fn is_still(&self, held: &File) -> Result<bool> {
        let held = held.metadata()?;
        Ok(fs::metadata(self.dir()).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())))
    }
}
