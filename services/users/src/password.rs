//! Password hashes (D25): argon2id for new ones, bcrypt for those that were moved over.

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{
        self,
        phc::{Output, ParamsString, Salt},
    },
};
use chassis::{Error, text};

/// What is checked when there is no such account: it takes as long as any other, and is never right.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$\
    cGxhemEtZGVjb3ktc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// KiB, passes and lanes of a hash (OWASP's first choice, and D25's).
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Another password.
    Wrong,
    /// The right one.
    Right,
    /// The right one, under a hash that shall be replaced by a new one.
    Outdated,
}

/// The 19 MiB that a hash works in, used again for the next one.
///
/// Taken anew for each hash, they stay with the allocator, once for each thread that ever hashed.
#[derive(Debug, Default)]
pub(crate) struct Memory(Vec<Block>);

impl Memory {
    /// A new hash, in PHC format, of the form in which passwords are compared.
    pub(crate) fn hash(&mut self, password: &str) -> Result<String, Error> {
        self.try_hash(&text::opaque(password))
            .map_err(Error::internal)
    }

    /// Compares; `None` stands for an account that does not exist and is always wrong.
    ///
    /// Hashes from before passwords had a common form are of what was typed then, which mostly is what is typed now.
    pub(crate) fn verify(&mut self, password: &str, hash: Option<&str>) -> Verdict {
        let opaque = text::opaque(password);
        match self.verify_literally(&opaque, hash) {
            Verdict::Wrong if opaque != password => match self.verify_literally(password, hash) {
                Verdict::Wrong => Verdict::Wrong,
                Verdict::Right | Verdict::Outdated => Verdict::Outdated,
            },
            verdict => verdict,
        }
    }

    fn verify_literally(&mut self, password: &str, hash: Option<&str>) -> Verdict {
        let verdict = match hash.unwrap_or(DECOY) {
            bcrypt if bcrypt.starts_with("$2") => match bcrypt::verify(password, bcrypt) {
                Ok(true) => Verdict::Outdated,
                _ => Verdict::Wrong,
            },
            // A hash that cannot be read is nobody's password.
            phc => self.try_verify(password, phc).unwrap_or(Verdict::Wrong),
        };
        if hash.is_some() {
            verdict
        } else {
            Verdict::Wrong
        }
    }

    fn try_hash(&mut self, password: &str) -> password_hash::Result<String> {
        let (kib, passes, lanes) = COST;
        let argon2id = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(kib, passes, lanes, None)?,
        );
        let salt = Salt::generate();
        let output = self.run(&argon2id, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(argon2id.params())?,
            salt: Some(salt),
            hash: Some(output),
        };
        Ok(hash.to_string())
    }

    fn try_verify(&mut self, password: &str, hash: &str) -> password_hash::Result<Verdict> {
        let hash = PasswordHash::new(hash)?;
        let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
            return Ok(Verdict::Wrong);
        };
        let params = Params::try_from(&hash)?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
        let version = hash.version.map(Version::try_from).transpose()?;
        let current = (params.m_cost(), params.t_cost(), params.p_cost()) == COST
            && algorithm == Algorithm::Argon2id;
        let argon2 = Argon2::new(algorithm, version.unwrap_or_default(), params);
        // Outputs are compared in a time that does not depend on what is in them.
        Ok(
            if self.run(&argon2, password, &salt, expected.len())? != expected {
                Verdict::Wrong
            } else if current {
                Verdict::Right
            } else {
                Verdict::Outdated
            },
        )
    }

    fn run(
        &mut self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &Salt,
        length: usize,
    ) -> password_hash::Result<Output> {
        let blocks = argon2.params().block_count();
        // A hash that was moved over may want more than ours; it gets that once, and is replaced.
        let mut more = Vec::new();
        let memory = if blocks <= Self::blocks() {
            self.0.resize(Self::blocks(), Block::new());
            &mut self.0
        } else {
            more.resize(blocks, Block::new());
            &mut more
        };
        let mut output = [0; Output::MAX_LENGTH];
        let output = output
            .get_mut(..length)
            .ok_or(password_hash::Error::OutputSize)?;
        argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, memory)?;
        Ok(Output::new(output)?)
    }

    const fn blocks() -> usize {
        COST.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    #[test]
    fn s2_65_new_hashes_are_argon2id_with_the_agreed_cost() {
        let mut memory = Memory::default();
        let hash = memory.hash("correct horse").unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_eq!(memory.verify("correct horse", Some(&hash)), Verdict::Right);
        assert_eq!(memory.verify("wrong horse", Some(&hash)), Verdict::Wrong);
    }

    #[test]
    fn hashes_in_used_memory_are_those_of_everybody_else() {
        let mut memory = Memory::default();
        let theirs = Argon2::default().hash_password(b"first horse").unwrap();
        let ours = memory.hash("second horse").unwrap();
        assert_eq!(
            memory.verify("first horse", Some(&theirs.to_string())),
            Verdict::Right
        );
        assert!(
            Argon2::default()
                .verify_password(b"second horse", ours.as_str())
                .is_ok()
        );
        assert_ne!(ours, memory.hash("second horse").unwrap(), "a salt each");
    }

    #[test]
    fn s4_04_a_bcrypt_hash_is_accepted_and_marked_for_replacement() {
        let (hash, mut memory) = (bcrypt::hash("correct horse", 4).unwrap(), Memory::default());
        assert_eq!(
            memory.verify("correct horse", Some(&hash)),
            Verdict::Outdated
        );
        assert_eq!(memory.verify("wrong horse", Some(&hash)), Verdict::Wrong);
    }

    #[test]
    fn a_hash_of_another_cost_is_accepted_and_marked_for_replacement() {
        let mut memory = Memory::default();
        for kib in [8, 24 * 1024] {
            let params = Params::new(kib, 1, 1, None).unwrap();
            let hash = Argon2::from(params).hash_password(b"correct horse");
            let hash = hash.unwrap().to_string();
            assert_eq!(
                memory.verify("correct horse", Some(&hash)),
                Verdict::Outdated
            );
            assert_eq!(memory.verify("wrong horse", Some(&hash)), Verdict::Wrong);
        }
        assert!(memory.0.len() <= Memory::blocks(), "it kept what was more");
    }

    #[test]
    fn a_password_is_right_however_it_is_composed_and_so_is_one_from_before() {
        let mut memory = Memory::default();
        let (composed, apart) = ("M\u{fc}ller caf\u{e9}", "Mu\u{308}ller\u{a0}cafe\u{301}");
        let hash = memory.hash(apart).unwrap();
        for typed in [composed, apart] {
            assert_eq!(memory.verify(typed, Some(&hash)), Verdict::Right);
        }
        let before = memory.try_hash(apart).unwrap();
        assert_eq!(memory.verify(apart, Some(&before)), Verdict::Outdated);
        assert_eq!(memory.verify("Muller cafe", Some(&before)), Verdict::Wrong);
        assert_eq!(memory.verify(apart, None), Verdict::Wrong);
    }

    #[test]
    fn s17_an_unknown_account_costs_a_hash_and_is_never_right() {
        let mut memory = Memory::default();
        assert_eq!(memory.verify("decoy", None), Verdict::Wrong);
        assert_eq!(memory.0.len(), Memory::blocks(), "nothing was hashed");
        for unreadable in ["", "$argon2id$", "$2", "x"] {
            assert_eq!(memory.verify("decoy", Some(unreadable)), Verdict::Wrong);
        }
    }
}
