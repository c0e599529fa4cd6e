//! Stories in plain text: a line behind `> ` is what happens, the lines under it are what the
//! cluster answers, tells and waits for. Run with `UPDATE_SCRIPTS=1` to have them written anew, and
//! read the difference.

mod orders;
mod show;
mod stage;

use std::{fs, path::Path};

use self::stage::Stage;

#[test]
fn every_story_is_told_as_written() {
    let folder = Path::new("tests/scripts");
    let mut stories: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    stories.sort();
    assert!(stories.len() > 5, "where are the stories of {folder:?}?");
    for story in stories {
        let written = fs::read_to_string(&story).unwrap();
        let told = tell(&written);
        if std::env::var_os("UPDATE_SCRIPTS").is_some() {
            fs::write(&story, &told).unwrap();
            continue;
        }
        let name = story.file_name().unwrap().to_string_lossy();
        for (number, (told, written)) in told.lines().zip(written.lines()).enumerate() {
            assert_eq!(told, written, "{name}, line {}", number + 1);
        }
        assert_eq!(told, written, "{name} is longer or shorter");
    }
}

fn tell(script: &str) -> String {
    let mut stage = Stage::new();
    let mut told = String::new();
    for line in script.lines() {
        if line.starts_with('#') || line.is_empty() {
            told.push_str(line);
            told.push('\n');
        } else if let Some(command) = line.strip_prefix("> ") {
            told.push_str(line);
            told.push('\n');
            for said in stage.play(command) {
                told.push_str("  ");
                // What spans lines, as the last output of a failed frontend, stays under its line.
                told.push_str(&said.replace('\n', "\n  "));
                told.push('\n');
            }
        }
    }
    told
}
