//! Two hundred posts of an author that come through the ends of everybody, whatever the network.

use std::collections::HashMap;
use std::time::Duration;

use fastrand::Rng;

use crate::harness::{Program, until_within};

const POSTS: usize = 200;
/// The posts of one thread.
const THREAD: usize = 5;
/// One post in so many has a picture, and one a warning.
const ONE_WITH_PICTURE: usize = 4;
const ONE_WITH_WARNING: usize = 3;
const KILLS: usize = 20;
const POSTS_BETWEEN_KILLS: usize = 6;
/// After so many kills of ours, theirs is killed as well.
const ONE_OF_THEIRS: usize = 7;
/// Of so many posts on their way, one or two are lost, or what was answered to them.
pub const ONE_LOST: usize = 25;
/// How long the whole may take: what may be out is looked for after a time of quiet, again and
/// again where that is lost as well.
const PATIENCE: Duration = Duration::from_secs(600);

/// A network on which an author writes, and a bot of ours repeats it in Spanish.
pub trait Network {
    /// What the author writes.
    fn text(&self, number: usize) -> String;

    /// What must be seen of a warning.
    fn warning(&self, number: usize) -> String;

    /// Writes a post as the author, after all that were written before.
    fn write(&mut self, post: &Written);

    /// How many posts of the bot are out; those that it posted twice may count twice.
    fn n_out(&self) -> usize;

    /// What stands of the bot, the oldest first.
    fn standing(&self) -> Vec<Standing>;

    /// Ends the server as a power cut would, and begins it again.
    fn restart(&mut self);
}

/// A post as its author writes it.
pub struct Written {
    pub number: usize,
    pub text: String,
    /// What its picture shows, if it has one.
    pub picture: Option<String>,
    pub warning: Option<String>,
    /// The number of the post that it answers.
    pub parent: Option<usize>,
}

/// A post as it stands where it was published.
#[derive(Clone, Debug)]
pub struct Standing {
    pub id: String,
    pub text: String,
    /// What its pictures show.
    pub pictures: Vec<String>,
    pub warning: Option<String>,
    /// The id of what it answers.
    pub parent: Option<String>,
}

impl Written {
    pub fn new(network: &impl Network, number: usize) -> Self {
        let has_picture = number % ONE_WITH_PICTURE == 1;
        let has_warning = number % ONE_WITH_WARNING == 1;
        Self {
            number,
            text: network.text(number),
            picture: has_picture.then(|| format!("Picture {number}")),
            warning: has_warning.then(|| network.warning(number)),
            parent: (!number.is_multiple_of(THREAD)).then(|| number - 1),
        }
    }

    /// As the bot says it.
    pub fn translated(&self) -> String {
        format!("[es] {}", self.text)
    }
}

/// The number of the post that a thread begins with.
pub fn root(number: usize) -> usize {
    number - number % THREAD
}

/// Sees the posts through kills of the program and the server, and returns them when all are out.
pub fn come_through(network: &mut impl Network, program: &mut Program) -> Vec<Written> {
    let mut posts = Vec::new();
    write(network, &mut posts, POSTS / 2);
    let mut random = Rng::with_seed(0x5_ac2);
    program.start();
    for kill in 1..=KILLS {
        // By chance, so that the ends meet each step of a post's way.
        let n_wanted = kill * POSTS_BETWEEN_KILLS + random.usize(0..POSTS_BETWEEN_KILLS);
        until_within(PATIENCE, &format!("{n_wanted} posts are out"), || {
            (network.n_out() >= n_wanted).then_some(())
        });
        program.kill();
        if kill % ONE_OF_THEIRS == 0 {
            network.restart();
        }
        program.start();
        if kill == KILLS / 2 {
            write(network, &mut posts, POSTS);
        }
    }
    until_within(PATIENCE, "everything is out", || {
        let open = &program.status()["publications"];
        let is_done = open["unknown"] == 0 && open["publishing"] == 0;
        let is_out = is_done && network.n_out() >= POSTS;
        (is_out && network.standing().len() >= POSTS).then_some(())
    });
    posts
}

fn write(network: &mut impl Network, posts: &mut Vec<Written>, n_posts: usize) {
    for number in posts.len()..n_posts {
        let post = Written::new(network, number);
        network.write(&post);
        posts.push(post);
    }
}

/// Each post stands once, with all that it had, behind all that were written before it.
pub fn check(posts: &[Written], standing: &[Standing]) {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, it) in standing.iter().enumerate() {
        places.entry(&it.text).or_default().push(place);
    }
    let place = |post: &Written| {
        let wanted = post.translated();
        match places.get(wanted.as_str()).map_or(&[][..], Vec::as_slice) {
            [place] => *place,
            places => panic!("{wanted} stands {} times", places.len()),
        }
    };
    let mut found: Vec<usize> = Vec::new();
    for post in posts {
        let place = place(post);
        let it = &standing[place];
        let is_behind = found.last().is_none_or(|last| *last < place);
        assert!(is_behind, "{} comes too early", post.number);
        let parent = post.parent.map(|parent| standing[found[parent]].id.clone());
        assert_eq!(it.parent, parent, "{it:?}");
        assert_eq!(it.pictures, Vec::from_iter(post.picture.clone()), "{it:?}");
        assert_eq!(it.warning, post.warning, "{it:?}");
        found.push(place);
    }
    assert_eq!(standing.len(), posts.len(), "nothing else was published");
}
