//! A disk that is so small that a test fills it.

use std::{
    fs::{File, Permissions, remove_file},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use tempfile::TempDir;

/// A file system in memory of a few MiB, which is gone with the test. Tests that use one run as
/// root, as CI does.
#[derive(Debug)]
pub struct SmallDisk {
    mount: TempDir,
}

impl SmallDisk {
    /// A new, empty one.
    ///
    /// # Panics
    /// When the test may not mount anything.
    pub fn new(mebibytes: u32) -> Self {
        let mount = tempfile::tempdir().expect("a temporary folder");
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(mount.path())
            .status();
        let mounted = mounted.expect("there is a command `mount`");
        assert!(mounted.success(), "a test that fills a disk runs as root");
        Self { mount }
    }

    /// A folder on it, for a service.
    ///
    /// # Panics
    /// When it is full already.
    pub fn folder(&self) -> Arc<TempDir> {
        let folder = tempfile::tempdir_in(self.mount.path());
        Arc::new(folder.expect("a folder on the small disk"))
    }

    /// A folder on it that belongs to whom `model` belongs to, for a server of another user.
    ///
    /// # Panics
    /// When it cannot be made or given away.
    pub(crate) fn folder_like(&self, model: &Path) -> PathBuf {
        let folder = self.mount.path().join("server");
        std::fs::create_dir(&folder).expect("a folder on the small disk");
        let owner = std::fs::metadata(model).expect("the model is there");
        let (user, group) = (Some(owner.uid()), Some(owner.gid()));
        chown(&folder, user, group).expect("a folder can be given away");
        let open = std::fs::set_permissions(self.mount.path(), Permissions::from_mode(0o711));
        open.expect("the way to it can be opened");
        folder
    }

    /// Takes all the space there is but about so many bytes.
    ///
    /// # Panics
    /// When there is something else in the way than the end of the space.
    pub fn fill(&self, left: u64) {
        let path = self.filler();
        let mut file = File::create(&path).expect("a file on the small disk");
        while file.write_all(&[1; 4096]).is_ok() {}
        let size = file.metadata().expect("its size").len();
        file.set_len(size.saturating_sub(left))
            .expect("a shorter file");
    }

    /// Gives the space back.
    ///
    /// # Panics
    /// When it was not taken.
    pub fn free(&self) {
        remove_file(self.filler()).expect("the disk was filled");
    }

    fn filler(&self) -> PathBuf {
        self.mount.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a service that a failed test left has files open there.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.mount.path())
            .status();
    }
}
