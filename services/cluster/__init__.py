"""Indexing jobs on a Ray cluster: the same job as `latentspace.indexing.job`, spread out.

engine      the job, as its caller sees it
stages      what its processes do: compare, encode, write
reading     the source as a datasource of Ray Data
hosting     a model of the service in a process of the cluster
parcels     what travels between them
"""
