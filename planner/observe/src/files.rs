//! Files and folders: reading with a limit, gzip by content, folders in a stable order.

use std::{
    fs,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use crate::ObserveError;

/// More than this of one graph source is refused: it is read into memory, and a small gzip file can unpack to anything.
const MOST_BYTES: u64 = 2 << 30;
/// Bytes that are read at once to see what a file is.
const HEAD_BYTES: usize = 4096;
/// Deeper folders are not entered.
const DEEPEST_FOLDER: usize = 32;

pub(crate) fn refused(path: &Path, cause: impl ToString) -> ObserveError {
    ObserveError::Read {
        path: path.display().to_string(),
        cause: cause.to_string(),
    }
}

/// Opens a file; a gzip file (by its first two bytes) is unpacked while it is read.
pub(crate) fn open(path: &Path) -> Result<BufReader<Box<dyn Read>>, ObserveError> {
    let mut file = fs::File::open(path).map_err(|e| refused(path, e))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(refused(path, "it is a folder where a file is needed"));
    }
    // Long enough that whoever looks at the first buffer can tell what the file is.
    let mut head = Vec::with_capacity(HEAD_BYTES);
    Read::by_ref(&mut file)
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(|e| refused(path, e))?;
    let gzip = head.starts_with(&[0x1f, 0x8b]);
    let whole = std::io::Cursor::new(head).chain(file);
    let reader: Box<dyn Read> = if gzip {
        Box::new(flate2::read::MultiGzDecoder::new(whole))
    } else {
        Box::new(whole)
    };
    Ok(BufReader::with_capacity(1 << 18, reader))
}

/// Reads a whole file, unpacked where it is gzip.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ObserveError> {
    let mut bytes = Vec::new();
    open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| refused(path, e))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refused(path, "it holds more than 2 GiB; split it"));
    }
    Ok(bytes)
}

/// A file to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub path: PathBuf,
    /// Named by the user, and not only found in a folder.
    pub named: bool,
}

/// The files at `paths`, folders entered in order of name; what is hidden (`.git`, `.terraform`) is passed over, and so
/// are links to folders, which may lead back to where they stand.
pub(crate) fn walk(paths: &[PathBuf]) -> Result<Vec<Candidate>, ObserveError> {
    let mut files = Vec::new();
    for path in paths {
        let kind = fs::metadata(path).map_err(|e| refused(path, e))?;
        if kind.is_dir() {
            enter(path, 0, &mut files)?;
        } else {
            files.push(Candidate {
                path: path.clone(),
                named: true,
            });
        }
    }
    Ok(files)
}

fn enter(folder: &Path, depth: usize, files: &mut Vec<Candidate>) -> Result<(), ObserveError> {
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| refused(folder, e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type().map_err(|e| refused(&path, e))?;
        if kind.is_dir() {
            if depth < DEEPEST_FOLDER {
                enter(&path, depth + 1, files)?;
            }
        } else if kind.is_file() || fs::metadata(&path).is_ok_and(|m| m.is_file()) {
            files.push(Candidate { path, named: false });
        }
    }
    Ok(())
}
