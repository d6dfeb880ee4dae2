//! Whose files are in the place of an output: what another command or program wrote is never replaced.
//!
//! Of files, the command keeps in the file itself that it wrote it, where the format has room for that; of a folder, in a
//! small file beside the others, the manifest, with the length and the time of each.
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The key under which formats say who wrote a file.
pub const KEY: &str = "written_by";
/// The key of the checksum of a model, whose weights programs may change and keep its metadata.
pub const CHECKSUM: &str = "checksum";

/// Who writes, and whether others' files may be replaced.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The command, such as `hessquik eval`.
    pub command: String,
    /// Whether the user said `--force`.
    pub force: bool,
    /// Files that the command reads, which it does not replace even so.
    pub inputs: Vec<PathBuf>,
}

impl Owner {
    /// The command `hessquik NAME`.
    pub fn new(name: &str, force: bool) -> Self {
        Self::of_command(format!("hessquik {name}"), force)
    }

    /// The command with this whole name.
    pub fn of_command(command: String, force: bool) -> Self {
        Self { command, force, inputs: Vec::new() }
    }

    /// The same, where these files are read.
    pub fn reading<'a>(self, inputs: impl IntoIterator<Item = &'a Path>) -> Self {
        Self { inputs: inputs.into_iter().map(PathBuf::from).collect(), ..self }
    }

    /// Refuses a file at `path` that this command reads.
    pub fn check_unread(&self, path: &Path) -> Result<(), Failure> {
        let Ok(output) = fs::canonicalize(path) else { return Ok(()) };
        match self.inputs.iter().find(|input| fs::canonicalize(input).is_ok_and(|input| input == output)) {
            Some(input) => {
                let shown = input.display();
                Err(Failure::Usage(format!("the output would replace {shown}, which is read; choose another name")))
            }
            None => Ok(()),
        }
    }

    /// Refuses a file at `path` that this command did not write, or that it reads.
    pub fn check_file(&self, path: &Path) -> Result<(), Failure> {
        self.check_unread(path)?;
        if self.force || !path.is_file() || writer(path).is_some_and(|found| found == self.command) {
            return Ok(());
        }
        let (shown, command) = (path.display(), &self.command);
        let by = writer(path).map_or_else(String::new, |found| format!("; {found:?} did"));
        Err(Failure::Usage(format!(
            "output {shown} exists, and `{command}` is not known to have written it{by}; choose another name, or replace it by \
             --force"
        )))
    }

    /// Refuses a folder with files that this command did not write. Beside them, it may write into a folder that is its own.
    pub fn check_folder(&self, folder: &Folder, new: &[String]) -> Result<(), Failure> {
        let (shown, command) = (folder.path.display(), &self.command);
        let manifest = folder.manifest();
        let in_the_way = |name: &&String| {
            let place = folder.path.join(name);
            let found = fs::symlink_metadata(&place);
            found.is_ok_and(|found| !found.is_file())
        };
        if let Some(name) = new.iter().find(in_the_way) {
            return Err(Failure::Usage(format!(
                "{name} in the output {shown} is a folder, link or device, expected a file"
            )));
        }
        for place in new.iter().map(|name| folder.path.join(name)).filter(|place| place.exists()) {
            // a file that may not be written is not replaced either
            OpenOptions::new().write(true).open(&place).map_err(Failure::io(&place))?;
        }
        if self.force || !folder.path.is_dir() {
            return Ok(());
        }
        let others = |what: String| {
            Err(Failure::Usage(format!("output {shown} {what}; choose another folder, or replace them by --force")))
        };
        if let Some(Manifest { written_by, .. }) = manifest.as_ref().filter(|m| m.written_by != self.command) {
            return others(format!("holds files of `{written_by}`, which `{command}` does not replace"));
        }
        let visible = |name: &String| !name.starts_with('.') && folder.prefix.is_empty();
        let foreign = match &manifest {
            Some(manifest) => {
                new.iter().find(|name| folder.path.join(name).exists() && !manifest.knows(folder, name)).cloned()
            }
            None => {
                let mut names: Vec<_> = names(&folder.path).into_iter().filter(visible).collect();
                names.extend(new.iter().filter(|name| folder.path.join(name).exists()).cloned());
                names.into_iter().min()
            }
        };
        match foreign {
            Some(name) => others(format!("holds {name}, which `{command}` is not known to have written")),
            None => Ok(()),
        }
    }
}

/// Names of what is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// A folder of outputs, or those of its files whose names start with `prefix`.
#[derive(Clone, Debug)]
pub struct Folder {
    pub path: PathBuf,
    pub prefix: String,
}

/// What is known of one file: its length, and nanoseconds from 1970 to its last change.
type Stamp = (u64, u128);

/// The files of a folder that a command wrote.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    written_by: String,
    /// A file without a stamp is written time and again, and knows itself what it is.
    files: BTreeMap<String, Option<Stamp>>,
}

impl Manifest {
    /// Without files.
    pub fn new(owner: &Owner) -> Self {
        Self { written_by: owner.command.clone(), files: BTreeMap::new() }
    }

    /// Adds the file at `path`, under the name that it will have.
    pub fn add(&mut self, name: &str, path: &Path) -> std::io::Result<()> {
        self.files.insert(name.into(), Some(stamp(path)?));
        Ok(())
    }

    /// Adds a file that is written time and again.
    pub fn add_changing(&mut self, name: &str) {
        self.files.insert(name.into(), None);
    }

    /// The files that are as they were written.
    pub fn unchanged(&self, folder: &Folder) -> Vec<String> {
        self.files
            .iter()
            .filter(|(name, stamp)| stamp.is_some() && self.knows(folder, name))
            .map(|(n, _)| n.clone())
            .collect()
    }

    fn knows(&self, folder: &Folder, name: &str) -> bool {
        match self.files.get(name) {
            None => false,
            Some(None) => true,
            Some(Some(known)) => stamp(&folder.path.join(name)).is_ok_and(|found| found == *known),
        }
    }

    /// As it stands in the file.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("names and numbers");
        json.push(b'\n');
        json
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let found = fs::symlink_metadata(path)?;
    let modified = found.modified()?.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    Ok((found.len(), modified))
}

impl Folder {
    /// The name of the manifest.
    pub fn manifest_name(&self) -> String {
        format!(".{}hessquik.json", self.prefix)
    }

    /// What was written there before: files of this folder, whatever else stands in the manifest.
    pub fn manifest(&self) -> Option<Manifest> {
        let mut found: Manifest = serde_json::from_slice(&fs::read(self.path.join(self.manifest_name())).ok()?).ok()?;
        found.files.retain(|name, _| Path::new(name).file_name().is_some_and(|plain| plain == name.as_str()));
        Some(found)
    }

    /// Says in the folder whose it is, keeping what is known of its files.
    #[cfg(feature = "train")]
    pub fn claim(&self, owner: &Owner, changing: &[&str]) -> Result<(), Failure> {
        let mut manifest =
            self.manifest().filter(|m| m.written_by == owner.command).unwrap_or_else(|| Manifest::new(owner));
        changing.iter().for_each(|name| manifest.add_changing(name));
        Ok(hessquik::write_whole(self.path.join(self.manifest_name()), &manifest.to_json())?)
    }
}

/// Files of a folder that come together or not at all, over those of an earlier run.
///
/// `staged` has them, and the manifest, under their names. Old files wait in it until all new ones are in their places, and
/// come back if one of those does not get there.
pub fn commit(owner: &Owner, folder: &Folder, staged: &Path, new: &[String]) -> Result<(), Failure> {
    let _lock = Lock::take(&folder.path);
    owner.check_folder(folder, new)?;
    let ours = folder.manifest().filter(|manifest| manifest.written_by == owner.command);
    let mut old = ours.map_or_else(Vec::new, |manifest| manifest.unchanged(folder));
    let manifest = folder.manifest_name();
    old.extend(new.iter().cloned().chain([manifest.clone()]));
    old.sort();
    old.dedup();
    let aside = staged.join(".old");
    let mut moves = Vec::new();
    let mut all = || {
        fs::create_dir(&aside)?;
        for name in old.iter().filter(|name| folder.path.join(name).exists()) {
            let (from, to) = (folder.path.join(name), aside.join(name));
            if new.contains(name) {
                hessquik::inherit(&staged.join(name), &from)?;
            }
            fs::rename(&from, &to)?;
            moves.push((from, to));
        }
        for name in new.iter().chain([&manifest]) {
            let (from, to) = (staged.join(name), folder.path.join(name));
            fs::rename(&from, &to)?;
            moves.push((from, to));
        }
        Ok(())
    };
    let done: std::io::Result<()> = all();
    if done.is_err() {
        for (from, to) in moves.iter().rev() {
            let _ = fs::rename(to, from);
        }
    }
    done.map_err(Failure::io(&folder.path))
}

/// A folder that no other process of this program moves files into meanwhile, where the system can say so.
pub struct Lock(#[allow(dead_code)] Option<File>);

impl Lock {
    /// Waits until nobody else has it.
    pub fn take(folder: &Path) -> Self {
        let file = File::open(folder).ok();
        Self(file.filter(|file| file.lock().is_ok()))
    }
}

/// Who wrote a file, if that is in it.
fn writer(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    match ending.as_str() {
        "csv" => None,
        "npz" => Some(String::from_utf8(zip::ZipArchive::new(file).ok()?.comment().to_vec()).ok()?),
        "json" => {
            let json: serde_json::Value = serde_json::from_reader(std::io::BufReader::new(file)).ok()?;
            Some(json.get(KEY)?.as_str()?.to_string())
        }
        "svg" => {
            let text = fs::read_to_string(path).ok()?;
            let (_, comment) =
                text.trim_end().strip_suffix("</svg>")?.trim_end().strip_suffix("-->")?.rsplit_once("<!--")?;
            Some(comment.trim().strip_prefix("written by ")?.to_string())
        }
        "png" => {
            let decoder = png::Decoder::new(std::io::BufReader::new(file)).read_info().ok()?;
            let texts = &decoder.info().uncompressed_latin1_text;
            Some(texts.iter().find(|text| text.keyword == KEY)?.text.clone())
        }
        _ => {
            let mut length = [0; 8];
            file.read_exact(&mut length).ok()?;
            let mut header = Vec::new();
            (&mut file).take(u64::from_le_bytes(length).min(1 << 27)).read_to_end(&mut header).ok()?;
            let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
            let metadata = header.get("__metadata__")?;
            let writer = metadata.get(KEY)?.as_str()?.to_string();
            if let Some(known) = metadata.get(CHECKSUM) {
                let mut data = Vec::new();
                file.read_to_end(&mut data).ok()?;
                if known.as_str()? != checksum(&data) {
                    return None;
                }
            }
            Some(writer)
        }
    }
}

/// A checksum of the numbers of a model file.
pub fn checksum(data: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(data))
}
