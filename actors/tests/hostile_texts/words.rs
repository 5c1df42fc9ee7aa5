//! The words that posts and translations are made of.

/// A language that is translated into.
pub(crate) struct Voice {
    pub(crate) tag: &'static str,
    /// Sentences, with the function words that tell the language.
    words: &'static str,
    /// What stands between two words.
    pub(crate) blank: &'static str,
}

impl Voice {
    /// Its words from one of them on, again and again.
    pub(crate) fn from(&self, start: usize) -> impl Iterator<Item = &'static str> + use<> {
        let words: Vec<&'static str> = self.words.split(' ').collect();
        (start..).map(move |at| words[at % words.len()])
    }
}

pub(crate) const ENGLISH: Voice = Voice {
    tag: "en",
    words: "The government said that it is not going to the beach with the children, because it \
            was late and they were cold. We have been there before and you are right: this is \
            what all of them would like to know about the old town.",
    blank: " ",
};

/// What posts are translated into.
pub(crate) const TARGETS: [Voice; 5] = [
    Voice {
        tag: "es",
        words: "El gobierno dijo que no va a la playa con los niños, porque era tarde y hacía \
                frío. Ya estuvimos en la ciudad antes y es lo que todos quieren saber de las \
                calles del centro, pero nadie lo dice.",
        blank: " ",
    },
    Voice {
        tag: "de",
        words: "Die Regierung hat gesagt, dass sie nicht mit den Kindern an den Strand geht, weil \
                es schon spät war und sie nicht frieren. Wir sind auch in der Stadt gewesen, und \
                das ist es, was alle über die alten Straßen wissen wollen.",
        blank: " ",
    },
    Voice {
        tag: "ja",
        words: "政府は今日 子どもたちと 海に行かないと 言いました。 寒くて もう遅いからです。 \
                私たちは 前にも この町に いたことがあり、 それは みんなが 知りたいことです。",
        blank: "",
    },
    Voice {
        tag: "ar",
        words: "قالت الحكومة إن الناس في المدينة لا يذهبون إلى البحر مع الأطفال، لأن الجو كان \
                باردا. نحن كنا هنا من قبل، وهذا هو ما يريد كل الناس أن يعرفوا عن هذه المدينة.",
        blank: " ",
    },
    Voice {
        tag: "ru",
        words: "Правительство сказало, что мы не пойдём на пляж с детьми, потому что было уже \
                поздно и холодно. Мы были в этом городе раньше, и это то, что все хотят знать о \
                нём, но никто не говорит.",
        blank: " ",
    },
];

/// Words of any script and what stands between words, none of which may be a span.
pub(crate) const MIXED: &[&str] = &[
    "the",
    "quick",
    "señor",
    "größer",
    "Привет",
    "мир",
    "שלום",
    "עולם",
    "مرحبا",
    "بالعالم",
    "日本語",
    "です",
    "中文",
    "한국어",
    "हिन्दी",
    "ไทย",
    "e\u{301}le\u{300}ve",
    "\u{202b}rtl\u{202c}",
    "zero\u{200b}width",
    "\u{2067}iso\u{2069}",
    "don't",
    "—",
    "“quoted”",
    "(so)",
    "50",
    "%",
    "½",
    "end.",
    "Why?",
    "終。",
    "توقف؟",
    "न।",
    "…",
    "a\u{200d}b",
    "\u{200f}",
];

/// An emoji that begins with a digit; it comes last.
const KEYCAP: &str = "1️⃣";

pub(crate) const EMOJI: &[&str] = &[
    "👨\u{200d}👩\u{200d}👧\u{200d}👦",
    "🏳️\u{200d}🌈",
    "🙋🏽",
    "🇺🇦",
    "🇵🇱",
    "❤️",
    "🎉",
    "👩\u{200d}💻",
    "🫡",
    KEYCAP,
];

pub(crate) fn pick<'a>(rng: &mut fastrand::Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}
