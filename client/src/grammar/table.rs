//! The grammar by data: what is typed, and what it means.

use super::{Misuse, canonical};

/// Splits at spaces; `''` is an empty word.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace()
        .map(|w| {
            if w == "''" {
                String::new()
            } else {
                w.to_owned()
            }
        })
        .collect()
}

fn meaning(line: &str) -> String {
    match canonical(&words(line)) {
        Ok(tokens) => tokens.join(" "),
        Err(misuse) => format!("! {misuse}"),
    }
}

#[track_caller]
fn check(table: &str) {
    let mut wrong = Vec::new();
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (typed, expected) = row.split_once(" => ").expect("every row has an arrow");
        let (typed, expected) = (typed.trim(), expected.trim());
        let got = meaning(typed);
        if got != expected {
            wrong.push(format!("{typed}\n  expected {expected}\n  got      {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn seeds_mean_what_they_meant() {
    check(
        "
        env prod load 8ef9d2f               => envs load prod 8ef9d2f
        env prod activate 8ef9d2f           => envs activate prod 8ef9d2f
        env describe prod                   => envs describe prod
        env activate prod 037205f           => envs activate prod 037205f
        env set FOO=bar -a myapp            => --app=myapp vars set FOO=bar
        build -a myapp                      => --app=myapp build
        releases -a myapp                   => --app=myapp releases list
        releases info RCDEFGHIJK -a myapp   => --app=myapp releases info RCDEFGHIJK
        releases promote RCDEFGHIJK -a app  => --app=app releases promote RCDEFGHIJK
        releases manifest RCDEFGHIJK        => releases manifest RCDEFGHIJK
        releases rollback RBCDEFGHIJ        => releases rollback RBCDEFGHIJ
        ",
    );
}

#[test]
fn documented_environment_forms() {
    check(
        "
        env list                                   => envs list
        env create qa                              => envs create qa
        env create --no-snapshot qa                => envs create --no-snapshot qa
        env create qa --whitelist office           => envs create qa --whitelist office
        env create --whitelist office qa           => envs create --whitelist office qa
        env create --ssl-certificate prod --ha --protected qa => envs create --ssl-certificate prod --ha --protected qa
        env create --snapshot nightly --nfs-snapshot files --source-environment prod qa => envs create --snapshot nightly --nfs-snapshot files --source-environment prod qa
        env create --size f1-small --sql-scripts a qa => envs create --size f1-small --sql-scripts a qa
        env describe qa                            => envs describe qa
        env qa describe                            => envs describe qa
        env qa                                     => envs describe qa
        env destroy qa                             => envs destroy qa
        env qa destroy --no-confirm                => envs destroy qa --no-confirm
        env destroy qa --delete-logs --no-confirm  => envs destroy qa --delete-logs --no-confirm
        env load qa 8ef9d2f                        => envs load qa 8ef9d2f
        env deactivate qa                          => envs deactivate qa
        env qa deactivate                          => envs deactivate qa
        env unload qa 8ef9d2f                      => envs unload qa 8ef9d2f
        env qa unload 8ef9d2f --delete-logs        => envs unload qa 8ef9d2f --delete-logs
        env prod recycling ON                      => envs recycling prod ON
        env guard prod 60                          => envs guard prod 60
        env prod guard 0                           => envs guard prod 0
        env recycling prod OFF                     => envs recycling prod OFF
        env healthcheck prod ON                    => envs recycling prod ON
        env prod healthcheck OFF                   => envs recycling prod OFF
        env maintenance prod ON                    => envs maintenance prod ON
        env protected prod OFF                     => envs protected prod OFF
        env autoscaling limits prod 2 10           => envs autoscaling limits prod 2 10
        env prod autoscaling limits 2 10           => envs autoscaling limits prod 2 10
        env autoscaling desired prod 8ef9d2f 4     => envs autoscaling desired prod 8ef9d2f 4
        env autoscaling desired prod 4             => envs autoscaling desired prod 4
        env prod autoscaling desired 4             => envs autoscaling desired prod 4
        env autoscaling thresholds prod 20 80      => envs autoscaling thresholds prod 20 80
        env prod autoscaling thresholds 20 80      => envs autoscaling thresholds prod 20 80
        env autoscaling rates prod 1 10            => envs autoscaling rates prod 1 10
        env prod autoscaling rates 1 10            => envs autoscaling rates prod 1 10
        env autoscaling grace-period prod 300      => envs autoscaling grace-period prod 300
        env prod autoscaling grace-period 300      => envs autoscaling grace-period prod 300
        env autoscaling policy prod target         => envs autoscaling policy prod target
        env prod autoscaling policy step           => envs autoscaling policy prod step
        env autoscaling targets prod --cpu 70      => envs autoscaling targets prod --cpu 70
        env prod autoscaling targets --rps none    => envs autoscaling targets prod --rps none
        env autoscaling targets --rps 9 prod       => envs autoscaling targets --rps 9 prod
        env autoscaling cooldown prod 120          => envs autoscaling cooldown prod 120
        env prod autoscaling cooldown 120          => envs autoscaling cooldown prod 120
        env autoscaling describe prod              => envs autoscaling describe prod
        env prod autoscaling describe active       => envs autoscaling describe prod active
        env cancel prod                            => envs cancel prod
        env cert prod shop                         => envs cert prod shop
        env prod cert shop                         => envs cert prod shop
        env prod cert self-signed                  => envs cert prod self-signed
        env prod redirect OFF                      => envs redirect prod OFF
        "
    );
}

#[test]
fn documented_variable_forms() {
    check(
        "
        env                             => vars list
        env -e qa                       => --env=qa vars list
        env --release RABCDEFGHIJ       => vars list --release RABCDEFGHIJ
        env --reveal                    => vars list --reveal
        env get FOO                     => vars get FOO
        env set FOO=bar                 => vars set FOO=bar
        env set FOO=bar BAZ=q --replace => vars set FOO=bar BAZ=q --replace
        env set                         => vars set
        env unset FOO BAR               => vars unset FOO BAR
        env qa set FOO=bar              => --env=qa vars set FOO=bar
        env qa get FOO                  => --env=qa vars get FOO
        env qa unset FOO                => --env=qa vars unset FOO
        env set FOO=bar -e qa           => --env=qa vars set FOO=bar
        env set -- -odd=1               => vars set -- -odd=1
        env set FOO=bar -p              => vars set FOO=bar -p
        env edit                        => vars edit
        env qa edit                     => --env=qa vars edit
        env mask                        => vars mask
        env mask set FOO BAR            => vars mask set FOO BAR
        env qa mask unset FOO           => --env=qa vars mask unset FOO
        vars                            => vars list
        vars list                       => vars list
        vars get FOO                    => vars get FOO
        envs                            => envs list
        envs load prod 8ef9d2f          => envs load prod 8ef9d2f
        ",
    );
}

#[test]
fn documented_forms_of_later_versions_are_refused_as_such() {
    let later = [
        "env workers prod AUTO",
        "env cache flush prod",
        "env prod cache flush",
        "env solr prod ON",
        "env nfs prod OFF",
        "env varnish prod ON",
        "env prod newrelic --newrelic-licence K",
        "env newrelic prod --clear-newrelic-licence",
        "env sectionio prod URL USER PASS",
        "env sectionio prod --clear",
        "env promote prod",
        "env rename qa staging",
        "release create",
        "snapshot list",
        "snapshot create prod --name N",
        "database dump prod",
        "key add N",
        "log delete --environment prod",
        "report usage",
        "notifications list",
        "config repo",
        "config sql list",
        "logs",
        "builds export BABCDEFGHI",
        "exec web sh",
        "run web -- ls -a",
        "services triggers",
        "resources",
        "certs",
        "balancers",
        "instances",
        "cp a b",
        "proxy 80",
        "ssl",
        "registries",
        "deploy-debug",
        "test",
        "start",
        "rack",
        "rack params",
        "login",
        "update",
        "apps params",
        "ps info P",
        "ps stop P",
    ];
    for line in later.iter().filter(|line| **line != "release create") {
        let got = canonical(&words(line));
        assert!(matches!(got, Err(Misuse::NotYet { .. })), "{line}: {got:?}");
    }
}

#[test]
fn flags_stand_anywhere() {
    check(
        "
        -a shop env prod load 8ef9d2f      => --app=shop envs load prod 8ef9d2f
        env -a shop prod load 8ef9d2f      => --app=shop envs load prod 8ef9d2f
        env prod -ashop load 8ef9d2f -w    => --app=shop --wait envs load prod 8ef9d2f
        env prod load --app=shop 8ef9d2f   => --app=shop envs load prod 8ef9d2f
        env prod load 8ef9d2f -o json      => --output=json envs load prod 8ef9d2f
        env load 8ef9d2f -e qa             => --env=qa envs load qa 8ef9d2f
        env load qa 8ef9d2f -e qa          => --env=qa envs load qa 8ef9d2f
        env -e qa describe                 => --env=qa envs describe qa
        env describe -e load               => --env=load envs describe load
        env autoscaling desired 4 -e qa    => --env=qa envs autoscaling desired qa 4
        env autoscaling limits 2 4 -e qa   => --env=qa envs autoscaling limits qa 2 4
        env autoscaling thresholds 20 80 -e qa => --env=qa envs autoscaling thresholds qa 20 80
        env autoscaling describe -e qa     => --env=qa envs autoscaling describe qa
        env autoscaling targets --cpu 70 -e qa => --env=qa envs autoscaling targets qa --cpu 70
        env protected ON -e qa             => --env=qa envs protected qa ON
        env list --stale --stale           => --stale envs list
        ps --timeout 5 -e qa               => --timeout=5 --env=qa ps
        release create -m -w HEAD          => release create -m -w HEAD
        env set A=1 -- -a                  => vars set A=1 -- -a
        ",
    );
}

#[test]
fn other_nouns() {
    check(
        "
        ''                         => ! no command \"\"
        apps                       => apps list
        apps create shop           => apps create shop
        release                    => release list
        release create HEAD -m hi  => release create HEAD -m hi
        release destroy 8ef9d2f    => release destroy 8ef9d2f
        build . -d -w              => build . -d -w
        deploy -m convox.yml src   => deploy -m convox.yml src
        builds                     => builds list
        builds logs BABCDEFGHI     => builds logs BABCDEFGHI
        releases --limit 3         => releases list --limit 3
        releases promote           => releases promote
        releases create-from --build-from RABCDEFGHI --env-from active => releases create-from --build-from RABCDEFGHI --env-from active
        apps cancel -e qa          => --env=qa apps cancel
        apps lock shop             => apps lock shop
        scale                      => scale
        scale web --count 3 -w     => --wait scale web --count 3
        restart                    => restart
        services                   => services list
        services restart web       => services restart web
        ps -s web                  => ps -s web
        cert                       => cert list
        cert add shop              => cert add shop
        cert add --cert a.pem --key k.pem shop --force => cert add --cert a.pem --key k.pem shop --force
        cert add --acme --directory https://ca.test --email a@b.c shop => cert add --acme --directory https://ca.test --email a@b.c shop
        cert show self-signed      => cert show self-signed
        cert remove shop           => cert remove shop
        config                     => config show
        config default-env         => config default-env
        config default-env qa      => config default-env qa
        node                       => node list
        nodes list                 => node list
        node drain b               => node drain b
        node labels set b zone=a   => node labels set b zone=a
        node join 10.0.0.1:7400    => node join 10.0.0.1:7400
        cluster                    => cluster status
        cluster ca rotate          => cluster ca rotate
        node token create --role worker --ttl 5m --uses 3 => node token create --role worker --ttl 5m --uses 3
        node token list            => node token list
        node token revoke abcd     => node token revoke abcd
        racks                      => context list
        switch home                => context use home
        events -f                  => events -f
        log                        => log list
        log list prod active       => log list prod active
        log view prod active autoscaling-logs -f => log view prod active autoscaling-logs -f
        log view --start-time 2026-01-01T00:00:00+0000 prod 8ef9d2f autoscaling-logs => log view --start-time 2026-01-01T00:00:00+0000 prod 8ef9d2f autoscaling-logs
        version                    => version
        help env load              => env load --help
        env --help                 => env --help
        env load --help            => envs load --help
        env prod load --help       => envs load prod --help
        env autoscaling --help     => envs autoscaling --help
        completion bash            => completion bash
        ",
    );
}

#[test]
fn slips_become_errors_with_the_nearest_verb() {
    let cases = [
        (
            "env prod heathcheck ON",
            "did you mean: fleet env prod healthcheck",
        ),
        ("env destory prod", "did you mean: fleet env destroy prod"),
        ("env prod lod 8ef9d2f", "did you mean: fleet env prod load"),
        ("env lod prod", "did you mean: fleet env load prod"),
        (
            "env autoscaling limit prod 1 2",
            "did you mean: fleet env autoscaling limits",
        ),
        (
            "env autoscaling treshold prod 1 2",
            "did you mean: fleet env autoscaling thresholds",
        ),
        (
            "env autoscaling rates prod 1",
            "usage: fleet env autoscaling rates ENV REMOVE ADD",
        ),
        ("log veiw prod", "did you mean: fleet log view"),
        ("relase create HEAD", "did you mean: fleet release"),
        ("apps creat shop", "did you mean: fleet apps create"),
        (
            "env load 8ef9d2f",
            "which environment? usage: fleet env load ENV RELEASE",
        ),
        (
            "env load 8ef9d2f prod",
            "the environment comes first: fleet env load ENV RELEASE",
        ),
        ("env load prod", "usage: fleet env load ENV RELEASE"),
        ("env activate", "usage: fleet env activate ENV RELEASE"),
        ("env prod list", "usage: fleet env list"),
        ("env describe prod qa", "usage: fleet env describe ENV"),
        ("env FOO=bar", "to set a variable: fleet env set FOO=bar"),
        (
            "env create active",
            "it reads as a release; environments come first: fleet env ENV VERB",
        ),
        ("env create load", "it is a word of the grammar"),
    ];
    for (line, hint) in cases {
        let got = canonical(&words(line));
        let misuse = got.expect_err(line);
        assert_eq!(misuse.hint().as_deref(), Some(hint), "{line}: {misuse}");
    }
}

#[test]
fn two_environments_on_one_line_are_refused() {
    for line in [
        "env prod load 8ef9d2f -e qa",
        "env load prod 8ef9d2f -e qa",
        "env prod -e qa",
        "env prod set A=1 -e qa",
        "env describe prod -e qa",
        "env recycling prod ON -e qa",
        "env autoscaling desired prod 4 -e qa",
        "env autoscaling thresholds prod 20 80 -e qa",
        "env create dev -e qa",
    ] {
        let got = canonical(&words(line));
        assert!(
            matches!(got, Err(Misuse::TwoEnvironments { .. })),
            "{line}: {got:?}"
        );
    }
    let twice = canonical(&words("ps -e qa -e prod"));
    assert!(matches!(twice, Err(Misuse::FlagTwice { .. })), "{twice:?}");
    let valueless = canonical(&words("ps -e"));
    assert_eq!(valueless, Err(Misuse::FlagWithoutValue { flag: "--env" }));
}
