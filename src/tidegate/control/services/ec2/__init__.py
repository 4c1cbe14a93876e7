"""Amazon EC2's networks: VPCs, subnets, security groups, routes, gateways, addresses, and their tags.

Owns them as data: what CDK, CloudFormation and Terraform make, look up and refer to. All of Tidegate is on loopback
for now, so that no rule of a security group or route is enforced; that comes with the local stack. Refuses instances,
images and everything else of EC2.
"""
