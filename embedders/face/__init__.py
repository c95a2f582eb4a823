"""Family "face": faces to vectors, learnt with the triplet loss (FaceNet, Schroff 2015)."""
