//! A client's connection, over a port or over a Unix socket.

use std::io;

use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio_util::either::Either;

/// A connection.
pub(crate) type Connection = Either<TcpStream, UnixStream>;
/// Its reading half.
pub(crate) type Input = Either<tcp::OwnedReadHalf, unix::OwnedReadHalf>;
/// Its writing half.
pub(crate) type Output = Either<tcp::OwnedWriteHalf, unix::OwnedWriteHalf>;

/// The two halves, for those who read and write at once.
pub(crate) fn split(connection: Connection) -> (Input, Output) {
    match connection {
        Either::Left(stream) => {
            let (input, output) = stream.into_split();
            (Either::Left(input), Either::Left(output))
        }
        Either::Right(stream) => {
            let (input, output) = stream.into_split();
            (Either::Right(input), Either::Right(output))
        }
    }
}

/// Writes as much as the connection takes without waiting.
///
/// # Errors
/// `WouldBlock` when that is nothing; else what broke the connection.
pub(crate) fn try_write(output: &Output, bytes: &[u8]) -> io::Result<usize> {
    match output {
        Either::Left(output) => output.try_write(bytes),
        Either::Right(output) => output.try_write(bytes),
    }
}
