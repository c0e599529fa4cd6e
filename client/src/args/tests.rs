#![allow(clippy::unwrap_used)]

use super::*;
use crate::grammar;

#[test]
fn the_tree_is_consistent() {
    tree().debug_assert();
}

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    let typed: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&grammar::canonical(&typed).unwrap())
}

#[test]
fn canonical_words_parse() {
    for line in [
        "env prod load 8ef9d2f -w -a shop",
        "env activate prod 8ef9d2f --now",
        "env",
        "env prod",
        "env set A=1 B=2",
        "env qa unset A",
        "env autoscaling limits prod 2 10",
        "env prod autoscaling desired 4",
        "env autoscaling desired prod 8ef9d2f 4",
        "env autoscaling thresholds prod 20 80",
        "env prod autoscaling rates 1 10",
        "env autoscaling grace-period prod 300",
        "env prod autoscaling policy TARGET",
        "env autoscaling targets prod --cpu 70 --memory none --rps 50 --concurrency 20",
        "env autoscaling cooldown prod 120",
        "env prod autoscaling describe active -s web",
        "log",
        "log list prod active",
        "log view prod active autoscaling-logs -f",
        "log view prod 8ef9d2f autoscaling-logs --start-time 2026-01-01T00:00:00+0000 --end-time 2026-01-02T00:00:00Z",
        "env recycling prod on",
        "env cert prod shop",
        "env prod redirect off",
        "cert",
        "cert add shop --cert a --chain b --key c --replace --force",
        "cert add shop --acme --directory https://ca.test/dir --directory-ca a --email a@b.c --domain a.test --domain b.test --challenge tls-alpn-01",
        "cert show self-signed",
        "cert remove shop",
        "whitelist",
        "whitelist create office",
        "whitelist allow office 10.0.0.0/8",
        "whitelist revoke office 2001:db8::/32",
        "whitelist describe allow-all",
        "whitelist destroy office",
        "env whitelist prod office",
        "env prod whitelist allow-all",
        "env limits prod --in-flight 100 --rate 50,100 --address-in-flight off --address-rate 5",
        "env prod limits --rate OFF",
        "env create qa --protected --no-snapshot",
        "release",
        "release create HEAD -m -w",
        "config default-env",
        "events -f",
        "ps --release 8ef9d2f -s web",
        "build -d -x . --id",
        "build src -m convox.yml",
        "deploy --force --no-wait",
        "builds --limit 3",
        "builds logs BABCDEFGHI",
        "releases",
        "releases info RABCDEFGHI --reveal",
        "releases promote",
        "releases promote RABCDEFGHI --wait",
        "releases rollback",
        "releases create-from --build-from RABCDEFGHI --use-active-release-env --promote",
        "env set A=1 -p --id",
        "env unset A --release RABCDEFGHI",
        "env edit -p",
        "env mask",
        "env mask set A B",
        "scale",
        "scale web --count 3 --min 1 --max 4 --cpu 250 --memory 512",
        "services restart web",
        "apps cancel -e qa",
        "apps unlock",
        "cluster",
        "cluster backup state.backup --with-artefacts",
        "cluster backup schedule 1d --keep 3 --dir /mnt/backups",
        "cluster backup schedule off",
        "cluster backup list",
        "cluster restore state.backup --name first",
        "cluster recover --from this-node --no-confirm",
        "node join 127.0.0.1:7400 --role worker --label zone=a",
        "node drain b --deadline 10m -w",
        "node undrain b",
        "node moves 6",
        "node promote 3",
        "node demote 3",
        "node remove b --force --no-confirm",
        "node labels set b zone=a disk=ssd",
        "node labels unset b disk",
        "racks",
        "switch home",
        "context add home --address 127.0.0.1:7400 --ca-fingerprint mfrgg",
        "env list --timeout 10m -o json",
    ] {
        let got = parsed(line);
        assert!(got.is_ok(), "{line}: {}", got.unwrap_err());
    }
}

#[test]
fn half_a_source_makes_no_release() {
    for line in [
        "releases create-from --build-from RABCDEFGHI",
        "releases create-from --use-active-release-env",
        "releases create-from --build-from RABCDEFGHI --use-active-release-build --env-from active",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}

#[test]
fn what_makes_no_number_of_anything_is_refused() {
    for line in [
        "env autoscaling thresholds prod low high",
        "env autoscaling policy prod magic",
        "env autoscaling targets prod",
        "env autoscaling targets prod --cpu 0",
        "env autoscaling targets prod --rps many",
        "env limits prod",
        "env limits prod --in-flight 0",
        "env limits prod --rate 5,0",
        "env limits prod --rate 5,many",
        "log view prod active autoscaling-logs --start-time yesterday",
        "log view autoscaling-logs a b c",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}

#[test]
fn help_pages_exist_for_what_is_typed() {
    for line in [
        "env --help",
        "help env load",
        "env prod load --help",
        "help release create",
    ] {
        let got = parsed(line).unwrap_err();
        assert_eq!(
            got.kind(),
            clap::error::ErrorKind::DisplayHelp,
            "{line}: {got}"
        );
    }
}

/// The grammar skips the values of options; it must know every option that has one.
#[test]
fn grammar_knows_every_option_with_a_value() {
    fn visit(command: &clap::Command, unknown: &mut Vec<String>) {
        for arg in command
            .get_opts()
            .filter(|arg| arg.get_action().takes_values())
        {
            let globals = ["app", "rack", "env", "output", "timeout"];
            let long = arg.get_long().unwrap();
            if globals.contains(&long) {
                continue;
            }
            for flag in [
                Some(format!("--{long}")),
                arg.get_short().map(|s| format!("-{s}")),
            ] {
                // With its value skipped, the line has exactly one positional: the noun.
                if let Some(flag) = flag
                    && !grammar::takes_value(&flag)
                {
                    unknown.push(flag);
                }
            }
        }
        command
            .get_subcommands()
            .for_each(|sub| visit(sub, unknown));
    }
    let mut unknown = Vec::new();
    visit(&tree(), &mut unknown);
    assert_eq!(unknown, Vec::<String>::new());
}

#[test]
fn times_have_units() {
    assert_eq!(parse_duration("90").unwrap().as_secs(), 90);
    assert_eq!(parse_duration("500ms").unwrap().as_millis(), 500);
    assert_eq!(parse_duration("10m").unwrap().as_secs(), 600);
    for bad in [
        "",
        "s",
        "1d",
        "-1",
        "0",
        "99999999999999999999",
        "200h",
        "1.5s",
    ] {
        assert!(parse_duration(bad).is_err(), "{bad}");
    }
}
