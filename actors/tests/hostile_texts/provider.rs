//! A provider that breaks calls, answers and texts in every way there is, and counts how often.

use std::collections::BTreeMap;
use std::collections::hash_map::{DefaultHasher, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use babelfeed_actors::domain::Usage;
use babelfeed_actors::ports::{Answer, Pack, Provider, ProviderError, Translated};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::posts::Kind;
use crate::words::{MIXED, TARGETS, Voice, pick};

/// What stands in no post, so that nothing published may hold it.
pub(crate) const ADDED: &[(Kind, &str)] = &[
    (Kind::Url, "https://spam.example.com/a"),
    (Kind::Mention, "@model"),
    (Kind::Hashtag, "#spam"),
    (Kind::Emoji, "🚀"),
    (Kind::CustomEmoji, ":spam_cat:"),
    (Kind::Code, "`spam`"),
    (Kind::Domain, "spam.example.net"),
    (Kind::Email, "model@spam.example.org"),
    (Kind::Placeholder, "⟦999⟧"),
];

/// How many in a thousand go wrong: calls, answers, texts.
const WRONG: (u32, u32, u32) = (60, 60, 350);
/// One text in so many goes wrong in the same manner whenever it is asked for.
const CURSED: u64 = 40;

/// A provider; clones are the same one.
#[derive(Clone)]
pub(crate) struct HostileProvider {
    desk: Arc<Mutex<Desk>>,
}

/// How often what went wrong, by its name.
pub(crate) type Faults = BTreeMap<&'static str, usize>;

struct Desk {
    rng: fastrand::Rng,
    faults: Faults,
    /// What each text became, in order, with the name of what went wrong.
    answered: HashMap<Arc<str>, Vec<(&'static str, String)>>,
}

impl HostileProvider {
    pub(crate) fn new(seed: u64) -> Self {
        let desk = Desk {
            rng: fastrand::Rng::with_seed(seed),
            faults: Faults::new(),
            answered: HashMap::new(),
        };
        Self {
            desk: Arc::new(Mutex::new(desk)),
        }
    }

    /// How often what went wrong until now.
    pub(crate) fn faults(&self) -> Faults {
        self.desk().faults.clone()
    }

    /// What it made of a text.
    pub(crate) fn answers_to(&self, text: &str) -> Vec<(&'static str, String)> {
        let desk = self.desk();
        desk.answered.get(text).cloned().unwrap_or_default()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for HostileProvider {
    fn translate<'a>(
        &'a self,
        pack: &'a Pack,
        timeout: Duration,
    ) -> LocalBoxFuture<'a, Result<Answer, ProviderError>> {
        let (wait, answer) = self.desk().answer(pack);
        async move {
            tokio::time::sleep(wait.min(timeout)).await;
            answer
        }
        .boxed_local()
    }
}

impl Desk {
    fn answer(&mut self, pack: &Pack) -> (Duration, Result<Answer, ProviderError>) {
        let wait = Duration::from_millis(self.rng.u64(50..500));
        if self.rng.u32(..1_000) < WRONG.0 {
            let (name, error) = CALLS[self.rng.usize(..CALLS.len())];
            *self.faults.entry(name).or_default() += 1;
            let wait = match name {
                "call: timeout" => Duration::MAX,
                _ => wait,
            };
            return (wait, Err(error()));
        }
        let target = pack.pair.target.name();
        let target = TARGETS.iter().find(|voice| voice.tag == target);
        let target = target.expect("only these languages are asked for");
        let mut items = Vec::with_capacity(pack.items.len());
        for item in &pack.items {
            let (name, text) = self.translated(&item.text, target);
            let answered = self.answered.entry(Arc::clone(&item.text)).or_default();
            answered.push((name, text.clone()));
            let id = Arc::clone(&item.id);
            items.push(Translated { id, text });
        }
        let mut answer = Answer {
            usage: Some(Usage {
                tokens_in: 10 * items.len() as u64,
                tokens_out: 10 * items.len() as u64,
                cost_usd: 0.0,
            }),
            items,
            model: "hostile".into(),
            ..Answer::default()
        };
        if self.rng.u32(..1_000) < WRONG.1 {
            let (name, spoil) = ANSWERS[self.rng.usize(..ANSWERS.len())];
            *self.faults.entry(name).or_default() += 1;
            let place = self.rng.usize(..answer.items.len());
            spoil(&mut answer, place);
        }
        (wait, Ok(answer))
    }

    /// What is made of a text, with the name of what went wrong.
    fn translated(&mut self, asked: &str, target: &Voice) -> (&'static str, String) {
        let pieces = pieces(&mut self.rng, asked, target);
        let mut draft = Draft {
            rng: &mut self.rng,
            asked,
            pieces,
        };
        let mut hasher = DefaultHasher::new();
        asked.hash(&mut hasher);
        let fate = hasher.finish();
        let (name, spoil) = match fate.is_multiple_of(CURSED) {
            true => TEXTS[(fate / CURSED) as usize % TEXTS.len()],
            false if draft.rng.u32(..1_000) < WRONG.2 => TEXTS[draft.rng.usize(..TEXTS.len())],
            false => return ("well", draft.pieces.concat()),
        };
        *self.faults.entry(name).or_default() += 1;
        spoil(&mut draft);
        (name, draft.pieces.concat())
    }
}

/// A good translation: what stands beside placeholders stays, each word becomes another.
fn pieces(rng: &mut fastrand::Rng, asked: &str, target: &Voice) -> Vec<String> {
    let mut words = target.from(rng.usize(..40));
    let translated = asked.split_inclusive(char::is_whitespace).map(|piece| {
        let word = piece.trim_end();
        if piece.contains('⟦') {
            // Who writes without blanks also leaves none there.
            let is_whole = target.blank.is_empty() && rng.bool();
            return if is_whole { word } else { piece }.to_owned();
        }
        let between = &piece[word.len()..];
        let blank = if between == " " {
            target.blank
        } else {
            between
        };
        let translated = words.next().filter(|_| !word.is_empty());
        [translated.unwrap_or_default(), blank].concat()
    });
    translated.collect()
}

type Failing = fn() -> ProviderError;

/// Why a call brings nothing.
const CALLS: &[(&str, Failing)] = &[
    ("call: 429", || ProviderError::RateLimited {
        wait: Some(Duration::from_secs(2)),
        detail: "429".to_owned(),
    }),
    ("call: 429 without a hint", || ProviderError::RateLimited {
        wait: None,
        detail: "429".to_owned(),
    }),
    ("call: quota", || ProviderError::QuotaExhausted {
        wait: Some(Duration::from_secs(30)),
        detail: "quota".to_owned(),
    }),
    ("call: 500", || ProviderError::Transient {
        wait: None,
        detail: "500".to_owned(),
    }),
    ("call: 503", || ProviderError::Transient {
        wait: Some(Duration::from_secs(3)),
        detail: "503".to_owned(),
    }),
    ("call: timeout", || ProviderError::Transient {
        wait: None,
        detail: "no answer".to_owned(),
    }),
    ("call: unreachable", || ProviderError::Unreachable {
        detail: "refused".to_owned(),
    }),
    ("call: too large", || ProviderError::TooLarge {
        detail: "413".to_owned(),
    }),
    ("call: rejected", || ProviderError::Rejected {
        detail: "content filter".to_owned(),
    }),
    ("call: invalid", || ProviderError::Invalid {
        detail: "400".to_owned(),
    }),
];

type SpoilAnswer = fn(&mut Answer, usize);

/// What goes wrong with an answer, at one of its places.
const ANSWERS: &[(&str, SpoilAnswer)] = &[
    ("answer: missing", |answer, place| {
        answer.items.remove(place);
    }),
    ("answer: doubled", |answer, place| {
        let twin = answer.items[place].clone();
        answer.items.push(twin);
    }),
    ("answer: wrong id", |answer, place| {
        answer.items[place].id = "wrong".into();
    }),
    ("answer: another's id", |answer, place| {
        answer.items[place].id = Arc::clone(&answer.items[0].id);
    }),
    ("answer: unknown", |answer, _| {
        answer.items.push(Translated {
            id: "unknown".into(),
            text: "⟦0⟧".to_owned(),
        });
    }),
    ("answer: ids swapped", |answer, place| {
        let first = Arc::clone(&answer.items[0].id);
        answer.items[0].id = std::mem::replace(&mut answer.items[place].id, first);
    }),
    ("answer: ids moved on", |answer, _| {
        let mut ids: Vec<Arc<str>> = answer.items.iter().map(|it| Arc::clone(&it.id)).collect();
        ids.rotate_left(1);
        for (item, id) in answer.items.iter_mut().zip(ids) {
            item.id = id;
        }
    }),
    ("answer: another order", |answer, _| answer.items.reverse()),
    ("answer: merged", |answer, place| {
        let merged = answer.items.remove(place).text;
        if let Some(beside) = answer.items.get_mut(place) {
            beside.text.push_str(&merged);
        }
    }),
    ("answer: cut", |answer, place| {
        answer.items.truncate(place);
        answer.is_truncated = true;
    }),
    ("answer: cut within a text", |answer, place| {
        answer.items.truncate(place + 1);
        let text = &mut answer.items[place].text;
        let half = text.chars().count() / 2;
        *text = text.chars().take(half).collect();
        answer.is_truncated = true;
    }),
    ("answer: unreadable", |answer, _| answer.items.clear()),
    ("answer: empty text", |answer, place| {
        answer.items[place].text.clear();
    }),
];

/// A translation before it is spoilt.
struct Draft<'a> {
    rng: &'a mut fastrand::Rng,
    asked: &'a str,
    pieces: Vec<String>,
}

impl Draft<'_> {
    fn place(&mut self) -> usize {
        self.rng.usize(..self.pieces.len().max(1))
    }

    /// Changes one piece that holds a placeholder, if there is one.
    fn one(&mut self, change: impl FnOnce(&str) -> String) {
        let holding: Vec<usize> = (0..self.pieces.len())
            .filter(|at| self.pieces[*at].contains('⟦'))
            .collect();
        if let Some(&at) = holding.get(self.rng.usize(..holding.len().max(1))) {
            self.pieces[at] = change(&self.pieces[at]);
        }
    }

    fn every(&mut self, change: impl Fn(&str) -> String) {
        for piece in &mut self.pieces {
            *piece = change(piece);
        }
    }

    fn insert(&mut self, text: &str) {
        let place = self.place();
        let blank = ["", " "][self.rng.usize(..2)];
        let place = place.min(self.pieces.len());
        self.pieces.insert(place, format!("{text}{blank}"));
    }

    fn becomes(&mut self, text: String) {
        self.pieces = vec![text];
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        pick(self.rng, from)
    }
}

type SpoilText = fn(&mut Draft<'_>);

/// What goes wrong with a text.
const TEXTS: &[(&str, SpoilText)] = &[
    ("lost", |draft| draft.one(|_| String::new())),
    ("all lost", |draft| {
        draft.every(|piece| if piece.contains('⟦') { "" } else { piece }.to_owned());
    }),
    ("doubled", |draft| {
        draft.one(|piece| format!("{piece} {piece}"))
    }),
    ("renumbered", |draft| {
        draft.one(|piece| piece.replacen('⟦', "⟦1", 1));
    }),
    ("never sent", |draft| draft.insert("⟦999⟧")),
    ("another order", |draft| {
        draft.rng.shuffle(&mut draft.pieces)
    }),
    ("opposite order", |draft| draft.pieces.reverse()),
    ("blanks inside", |draft| {
        draft.every(|piece| piece.replace('⟦', "⟦ ").replace('⟧', "\u{a0}⟧"));
    }),
    ("nothing seen inside", |draft| {
        draft.one(|piece| piece.replace('⟦', "⟦\u{200b}"));
    }),
    ("inside words", |draft| {
        draft.every(|piece| piece.replace('⟦', "wort⟦").replace('⟧', "⟧wort"));
    }),
    ("before letters", |draft| {
        let letters = draft.pick(&["q", "é", "я", "は", "中", "ة", "5", "_", "nd\u{301}"]);
        draft.every(|piece| piece.trim_end().replace('⟧', &format!("⟧{letters}")));
    }),
    ("behind letters", |draft| {
        let letters = draft.pick(&["q", "é", "я", "は", "中", "ة", "5", "_", "l'"]);
        draft.every(|piece| piece.replace('⟦', &format!("{letters}⟦")));
    }),
    ("before a sign", |draft| {
        let sign = draft.pick(&[
            ".", "/", "-", "@", ":", "?", "#", "&", "=", "%", "+", "~", ",", "·",
        ]);
        let letters = draft.pick(&["Wort", "com", "x", "я", ""]);
        draft.every(|piece| piece.trim_end().replace('⟧', &format!("⟧{sign}{letters}")));
    }),
    ("behind a sign", |draft| {
        let sign = draft.pick(&[
            ".", "/", "-", "@", ":", "?", "#", "&", "=", "%", "$", "＠", "(", "\"",
        ]);
        draft.every(|piece| piece.replace('⟦', &format!("{sign}⟦")));
    }),
    ("before what joins", |draft| {
        let joiner = draft.pick(&[
            "\u{200d}",
            "\u{fe0f}",
            "\u{20e3}",
            "\u{1f3fd}",
            "\u{301}",
            "\u{200c}",
            "\u{200d}🔥",
        ]);
        draft.every(|piece| piece.replace('⟧', &format!("⟧{joiner}")));
    }),
    ("behind what joins", |draft| {
        let joiner = draft.pick(&["🔥\u{200d}", "\u{200d}", "\u{1f1e6}", "1", "\u{200c}"]);
        draft.every(|piece| piece.replace('⟦', &format!("{joiner}⟦")));
    }),
    ("merged", |draft| {
        let merged = draft.pick(&["⟦0, 1⟧", "⟦01⟧", "⟦0-1⟧", "⟦0⟧⟦", "⟦0 1⟧"]);
        let text = draft.pieces.concat().replace("⟦0⟧", merged);
        draft.becomes(text.replace("⟦1⟧", ""));
    }),
    ("merged beside", |draft| draft.insert("⟦0, 1⟧")),
    ("other brackets", |draft| {
        let (open, close) = [
            ("[", "]"),
            ("【", "】"),
            ("<", ">"),
            ("〚", "〛"),
            ("[[", "]]"),
        ][draft.rng.usize(..5)];
        draft.every(|piece| piece.replace('⟦', open).replace('⟧', close));
    }),
    ("other digits", |draft| {
        let zero = ['٠', '０', '०', '零'][draft.rng.usize(..4)];
        draft.every(|piece| piece.replace('0', &zero.to_string()));
    }),
    ("translated", |draft| {
        let word = draft.pick(&["⟦cero⟧", "⟦null⟧", "⟦リンク⟧", "⟦⟧", "⟦#0⟧"]);
        draft.every(|piece| piece.replace("⟦0⟧", word));
    }),
    ("half a bracket", |draft| draft.insert("⟦")),
    ("no blanks", |draft| {
        draft.every(|piece| piece.trim().to_owned())
    }),
    ("one line", |draft| {
        draft.every(|piece| piece.replace('\n', " "))
    }),
    ("many lines", |draft| {
        draft.every(|piece| piece.replace(' ', "\r\n\r\n"))
    }),
    ("stops without blanks", |draft| {
        draft.every(|piece| format!("{}. ", piece.trim()));
        let text = draft.pieces.concat();
        draft.becomes(text.replace(". ", "."));
    }),
    ("directions open", |draft| {
        let mark = draft.pick(&["\u{202e}", "\u{2067}", "\u{200f}", "\u{202b}", "\u{2069}"]);
        draft.every(|piece| piece.replace('⟦', &format!("{mark}⟦")));
    }),
    ("not to be seen", |draft| {
        let mark = draft.pick(&["\u{200b}", "\u{feff}", "\u{ad}", "\u{2060}", "\u{200e}"]);
        draft.every(|piece| {
            piece
                .replace('⟦', &format!("{mark}⟦"))
                .replace('⟧', &format!("⟧{mark}"))
        });
    }),
    ("something added", |draft| {
        let (_, added) = ADDED[draft.rng.usize(..ADDED.len())];
        draft.insert(added);
    }),
    ("note behind", |draft| {
        let note = draft.pick(&[
            "\n\n(Note: I kept the placeholders as they are.)",
            "\n\nNota: traducción libre, véase https://spam.example.com/a",
            "\n\nAnmerkung des Übersetzers: Die Platzhalter wurden beibehalten.",
            "\n\n注：プレースホルダーはそのままにしました。",
        ]);
        draft.pieces.push(note.to_owned());
    }),
    ("preamble", |draft| {
        let preamble = draft.pick(&[
            "Here is the translation:\n",
            "Sure! Here's the translated text: ",
            "Aquí tienes la traducción:\n\n",
            "翻訳：",
        ]);
        draft.pieces.insert(0, preamble.to_owned());
    }),
    ("refusal", |draft| {
        let refusal = draft.pick(&[
            "I'm sorry, but I can't help with that request.",
            "Lo siento, no puedo ayudar con esa solicitud.",
            "申し訳ありませんが、そのご要望にはお応えできません。",
            "As an AI language model, I cannot translate this ⟦0⟧.",
        ]);
        draft.becomes(refusal.to_owned());
    }),
    ("echo", |draft| draft.becomes(draft.asked.to_owned())),
    ("another language", |draft| {
        let voice = &TARGETS[draft.rng.usize(..TARGETS.len())];
        draft.pieces = pieces(draft.rng, draft.asked, voice);
    }),
    ("any language", |draft| {
        for piece in &mut draft.pieces {
            if !piece.contains('⟦') {
                *piece = format!("{} ", pick(draft.rng, MIXED));
            }
        }
    }),
    ("cut", |draft| {
        let half = draft.pieces.len() / 2;
        draft.pieces.truncate(half);
    }),
    ("said twice", |draft| {
        let text = draft.pieces.concat();
        draft.becomes(format!("{text}\n{text}"));
    }),
    ("far too much", |draft| {
        let text = TARGETS[0].from(0).take(200).collect::<Vec<_>>().join(" ");
        draft.pieces.push(text);
    }),
    ("wrapped", |draft| {
        let (open, close) = [
            ("```\n", "\n```"),
            ("\"", "\""),
            ("«", "»"),
            ("`", "`"),
            ("**", "**"),
        ][draft.rng.usize(..5)];
        let text = draft.pieces.concat();
        draft.becomes(format!("{open}{}{close}", text.trim()));
    }),
    ("separator added", |draft| draft.insert("\n\u{1e}\n")),
    ("nothing", |draft| draft.becomes(String::new())),
];
