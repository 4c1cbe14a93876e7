"""AWS Identity and Access Management: who there is, which policies they have, and who may do what."""
