#![allow(clippy::print_stdout)]
use fleet_sim::campaign::Campaign;
use fleet_sim::contender::Contender;
fn main() {
    let seeds: Vec<u64> = std::env::args().skip(1).map(|s| s.parse().unwrap()).collect();
    let campaign = Campaign::run(&seeds, &[Contender::TARGET]);
    for c in [Contender::HPA, Contender::KPA, Contender::TARGET] {
        if c != Contender::TARGET && std::env::var("ALL").is_err() { continue; }
        print!("{:<22}", c.name());
        for t in fleet_sim::load::traces(0) { let s = campaign.score(t.name, c); print!(" {} {:>3}/{:>5.1}", &t.name[..4], s.violated_minutes, s.instance_hours()); }


        println!(" | all {} {:.1} ch {}", campaign.total(c).violated_minutes, campaign.total(c).instance_hours(), campaign.total(c).changes);
    }
}
